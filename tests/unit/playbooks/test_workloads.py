"""Workloads whose pods use the API, and what is said of those that can't be restarted."""

import importlib
from typing import Any

import pytest

workloads = importlib.import_module("ansible.module_utils.k8sbootstrap.kube.workloads")
TOKEN = {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, True),
        ({"automountServiceAccountToken": True}, True),
        ({"automountServiceAccountToken": False}, False),
        ({"automountServiceAccountToken": False, "volumes": [{"emptyDir": {}}]}, False),
        ({"automountServiceAccountToken": False, "volumes": [TOKEN]}, True),
        (
            {"automountServiceAccountToken": False, "volumes": [{"configMap": {"name": "kube-root-ca.crt"}}]},
            True,
        ),
    ],
)
def test_who_uses_the_api(spec: dict[str, Any], *, wanted: bool) -> None:
    assert workloads.uses_api(spec) is wanted


def owned(name: str, *owner: str, uid: str = "") -> dict[str, Any]:
    owners = [{"kind": owner[0], "uid": owner[1]}] if owner else []
    meta = {"namespace": "a", "name": name, "uid": uid, "ownerReferences": owners}
    return {"metadata": meta, "spec": {}, "status": {"phase": "Running"}}


def test_pods_that_no_workload_replaces(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {
        "pods": [
            owned("web", "ReplicaSet", "1"),
            owned("canary", "ReplicaSet", "2"),
            owned("agent", "DaemonSet", "3"),
            owned("db", "StatefulSet", "4"),
            owned("batch", "Job", "5"),
            owned("bare"),
        ],
        "replicasets.apps": [owned("w", "Deployment", "9", uid="1"), owned("c", "Rollout", "8", uid="2")],
    }
    monkeypatch.setattr(workloads, "kubectl_json", lambda _get, kind, *_: {"items": there[kind]})
    assert workloads.pods_of_others() == ["a/canary", "a/batch", "a/bare"]


def workload(kind: str, name: str, ready: int, **spec: Any) -> dict[str, Any]:
    status = {"readyReplicas": ready, "numberReady": ready, "desiredNumberScheduled": 2}
    template = {"metadata": {}, "spec": {}}
    meta = {"namespace": "a", "name": name}
    return {
        "kind": kind,
        "metadata": meta,
        "spec": {"replicas": 2, "template": template, **spec},
        "status": status,
    }


def test_each_is_restarted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that lacked pods are not waited for, also when a killed run continues."""
    there = [
        workload("Deployment", "whole", 2),
        workload("Deployment", "broken", 1),
        workload("DaemonSet", "nodes", 2),
        workload("Deployment", "paused", 2, paused=True),
        workload("DaemonSet", "by-hand", 2, updateStrategy={"type": "OnDelete"}),
        workload("StatefulSet", "part", 2, updateStrategy={"rollingUpdate": {"partition": 1}}),
    ]
    marked: list[str] = []
    waited: list[list[str]] = []

    def mark(each: dict[str, Any], value: str) -> None:
        marked.append(each["metadata"]["name"])
        each["spec"]["template"]["metadata"]["annotations"] = {workloads.RESTARTED: value}

    monkeypatch.setattr(workloads, "find", lambda: there)
    monkeypatch.setattr(workloads, "_mark", mark)
    monkeypatch.setattr(
        workloads, "wait_for", lambda items, *_: waited.append([each["metadata"]["name"] for each in items])
    )
    said = workloads.restart("ca-1", 60)
    assert marked == [each["metadata"]["name"] for each in there]
    assert said == {
        "restarted": ["Deployment a/whole", "DaemonSet a/nodes"],
        "broken": ["Deployment a/broken"],
        "held": ["Deployment a/paused", "DaemonSet a/by-hand", "StatefulSet a/part"],
    }
    there[0]["status"]["readyReplicas"] = 1  # its new pods come just now
    assert workloads.restart("ca-1", 60) == said
    assert len(marked) == len(there)
    assert waited == [["whole", "nodes"]] * 2
    workloads.restart("ca-2", 60)
    assert len(marked) == 2 * len(there)

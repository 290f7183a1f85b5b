"""Nodes go out of service and come back: only what was taken is given back; what holds a drain is named."""

import importlib
import json
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def drain(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = importlib.import_module("ansible.module_utils.k8sbootstrap.kube.drain")
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    return module


@pytest.fixture
def patches(drain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []
    monkeypatch.setattr(drain, "kubectl", lambda *words: seen.append(json.loads(words[-1])) or "")
    return seen


def node(version: str = "v1.35.6", **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "worker1", "annotations": annotations},
        "spec": {},
        "status": {
            "nodeInfo": {"kubeletVersion": version},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def pod(name: str, owner: str | None = "ReplicaSet", **labels: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"namespace": "default", "name": name, "labels": labels}
    if owner:
        metadata["ownerReferences"] = [{"kind": owner}]
    return {"metadata": metadata, "status": {"phase": "Running"}}


BUDGET = {
    "metadata": {"namespace": "default", "name": "web"},
    "spec": {"selector": {"matchLabels": {"app": "web"}}},
    "status": {"currentHealthy": 2, "expectedPods": 2, "desiredHealthy": 2, "disruptionsAllowed": 0},
}


def test_a_node_is_marked_and_given_back(drain: ModuleType, patches: list[Any]) -> None:
    assert drain.cordon(node(), "1.36.2")
    assert patches[-1]["metadata"]["annotations"] == {drain.CORDONED: "1.36.2"}
    assert patches[-1]["spec"] == {"unschedulable": True}
    assert drain.uncordon(node(**{drain.CORDONED: "1.36.2"}))
    assert patches[-1]["metadata"]["annotations"] == {drain.CORDONED: None}
    assert patches[-1]["spec"] == {"unschedulable": None}


def test_a_node_that_somebody_else_cordoned_stays_so(drain: ModuleType, patches: list[Any]) -> None:
    theirs = node() | {"spec": {"unschedulable": True}}
    assert not drain.cordon(theirs, "1.36.2")
    assert not drain.uncordon(theirs)
    assert patches == []


def test_nodes_are_never_newer_than_an_api_server(drain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"a": "v1.36.2", "b": "v1.36.2+x"}
    monkeypatch.setattr(
        drain, "kubectl", lambda *words: json.dumps({"gitVersion": said[words[-1].partition("=")[2]]})
    )
    drain.require_api_servers(["a", "b"], "1.36.2")
    said["b"] = "v1.36.20"
    with pytest.raises(drain.DrainError, match=r"the API server b still runs v1\.36\.20"):
        drain.require_api_servers(["a", "b"], "1.36.2")


def test_it_waits_for_leaders(drain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([("1", "1"), ("2", "1"), ("2", "1"), ("3", "2")])

    def leases(*_: str) -> dict[str, Any]:
        names = ("kube-controller-manager", "kube-scheduler")
        return {
            "items": [
                {"metadata": {"name": name}, "spec": {"renewTime": renewed}}
                for name, renewed in zip(names, next(times), strict=True)
            ]
        }

    monkeypatch.setattr(drain, "kubectl_json", leases)
    drain.wait_for_leaders()
    assert list(times) == []


def test_without_leader_election_there_is_nothing_to_wait_for(
    drain: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "kubectl_json", lambda *_: {"items": []})
    drain.wait_for_leaders()


def test_what_holds_a_drain_is_named(drain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*words: str) -> str:
        assert "--force" not in words
        raise drain.KubectlError("kubectl drain: global timeout reached: 5s")

    pods = [pod("web-1", app="web"), pod("log", "DaemonSet"), pod("static", "Node"), pod("debug", None)]
    pods.append(pod("slow") | {"metadata": pod("slow")["metadata"] | {"deletionTimestamp": "now"}})
    answers = {"pods": {"items": pods}, "poddisruptionbudgets": {"items": [BUDGET]}}
    monkeypatch.setattr(drain, "kubectl", fail)
    monkeypatch.setattr(drain, "kubectl_json", lambda *words: answers[words[1]])
    with pytest.raises(drain.DrainError) as raised:
        drain.evict("worker1", 5, bare_pods=False)
    assert str(raised.value) == (
        "not all of its pods were evicted within 5 s: default/web-1 is held by PodDisruptionBudget "
        "default/web, which allows no eviction (2 of 2 pods healthy, 2 must be); default/debug has no "
        "controller that would start it again on another node; default/slow is still terminating"
    )


def test_a_failure_of_another_kind_is_quoted(drain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str) -> str:
        raise drain.KubectlError("kubectl drain: nodes is forbidden")

    monkeypatch.setattr(drain, "kubectl", fail)
    monkeypatch.setattr(drain, "kubectl_json", lambda *_: {"items": []})
    with pytest.raises(drain.DrainError, match="nodes is forbidden"):
        drain.evict("worker1", 5, bare_pods=True)


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "db"}}, False),
        ({}, True),
        (None, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "db"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_selectors(drain: ModuleType, selector: Any, chosen: object) -> None:
    assert drain.selects(selector, {"app": "web"}) is chosen


def test_a_node_that_does_not_come_back(drain: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "kubectl_json", lambda *_: node("v1.36.2"))
    assert drain.wait_until_ready("worker1", "1.36.2", 1)
    with pytest.raises(
        drain.DrainError, match=r"not Ready with 1\.36\.3 after 0 s: its kubelet reports 1\.36\.2"
    ):
        drain.wait_until_ready("worker1", "1.36.3", 0)

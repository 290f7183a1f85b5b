"""When a workload's pods count as running, and what is told of those that do not."""

import importlib
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def rollout() -> ModuleType:
    return importlib.import_module("ansible.module_utils.k8sbootstrap.kube.rollout")


def deployment(new: int, available: int, replicas: int = 2, seen: int = 3) -> dict[str, Any]:
    status = {"observedGeneration": seen, "updatedReplicas": new, "availableReplicas": available}
    return {
        "kind": "Deployment",
        "metadata": {"generation": 3},
        "spec": {"replicas": replicas},
        "status": status,
    }


@pytest.mark.parametrize(
    ("item", "lost", "good"),
    [
        (None, 0, False),
        (deployment(2, 2), 0, True),
        (deployment(2, 1), 0, False),
        (deployment(1, 2), 0, False),
        (deployment(2, 2, seen=2), 0, False),
        (deployment(2, 1), 1, True),
        (deployment(0, 0), 5, False),
        (deployment(0, 0, replicas=0), 0, True),
    ],
)
def test_runs(rollout: ModuleType, item: dict[str, Any] | None, lost: int, *, good: bool) -> None:
    assert rollout.runs(item, lost) is good


def test_a_daemon_set_has_as_many_as_the_scheduler_wants(rollout: ModuleType) -> None:
    status = {
        "observedGeneration": 1,
        "desiredNumberScheduled": 3,
        "updatedNumberScheduled": 3,
        "numberAvailable": 2,
    }
    item = {"kind": "DaemonSet", "metadata": {"generation": 1}, "spec": {}, "status": status}
    assert not rollout.runs(item, 0)
    assert rollout.runs(item, 1)


def test_trouble(rollout: ModuleType) -> None:
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image x"}}}
    assert rollout.trouble({"status": {"containerStatuses": [waiting]}}) == [
        "waits: ImagePullBackOff Back-off pulling image x"
    ]
    condition = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
    assert rollout.trouble({"status": {"conditions": [condition]}}) == [
        "is not PodScheduled: 0/1 nodes are available"
    ]
    assert rollout.trouble({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}) == []


def test_what_was_noted_last_explains_a_vague_reason(
    rollout: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [
        {"message": 'Pulling image "x"', "lastTimestamp": "2026-01-01T00:00:02Z"},
        {"message": "Assigned", "lastTimestamp": None, "eventTime": "2026-01-01T00:00:01.1Z"},
    ]
    waiting = {"state": {"waiting": {"reason": "PodInitializing"}}}
    pods = [
        {
            "metadata": {"name": "p", "namespace": "n", "uid": "1"},
            "status": {"initContainerStatuses": [waiting]},
        }
    ]

    def answer(*arguments: str) -> dict[str, Any]:
        return {"items": events if "events" in arguments else pods}

    monkeypatch.setattr(rollout, "kubectl_json", answer)
    item = {"metadata": {"namespace": "n"}, "spec": {"selector": {"matchLabels": {"a": "b"}}}}
    assert rollout._reasons(item) == 'pod p waits: PodInitializing (Pulling image "x")'


def test_what_a_container_wrote_last_tells_why_it_ends(
    rollout: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 10s"}
    pod = {
        "metadata": {"name": "p", "namespace": "n"},
        "status": {"containerStatuses": [{"state": {"waiting": waiting}}]},
    }
    item = {"metadata": {"namespace": "n"}, "spec": {"selector": {"matchLabels": {"a": "b"}}}}
    monkeypatch.setattr(rollout, "kubectl_json", lambda *_arguments: {"items": [pod]})
    monkeypatch.setattr(rollout, "kubectl", lambda *_arguments: "plugin/forward: no nameservers found\n")
    told = "pod p waits: CrashLoopBackOff back-off 10s"
    assert rollout._reasons(item) == f"{told} (plugin/forward: no nameservers found)"

    def none(*_arguments: str) -> str:
        raise rollout.KubectlError("previous terminated container not found")

    monkeypatch.setattr(rollout, "kubectl", none)
    assert rollout._reasons(item) == told


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"conditions": [{"type": "Ready", "status": "True", "message": "ready"}]}, ""),
        ({"conditions": [{"type": "Ready", "status": "Unknown", "message": "stopped"}]}, ""),
        ({"conditions": [{"type": "Ready", "status": "False", "message": "no cni"}]}, "no cni"),
        ({}, "its kubelet has not reported yet"),
    ],
)
def test_not_ready(rollout: ModuleType, status: dict[str, Any], told: str) -> None:
    assert rollout.not_ready({"status": status}) == told


def test_nodes_are_waited_for(rollout: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["False", "False", "True"])

    def nodes(*_arguments: str) -> dict[str, Any]:
        condition = {"type": "Ready", "status": next(answers), "message": "no cni"}
        return {"items": [{"metadata": {"name": "w1"}, "status": {"conditions": [condition]}}]}

    monkeypatch.setattr(rollout, "kubectl_json", nodes)
    monkeypatch.setattr(rollout.time, "sleep", lambda _seconds: None)
    rollout.wait_for_nodes(["w1", "not-registered"])
    assert not list(answers)
    answers = iter(["False"])
    monkeypatch.setattr(rollout, "_PATIENCE", -1)
    with pytest.raises(rollout.KubectlError, match=r"not Ready: w1 \(no cni\)"):
        rollout.wait_for_nodes(["w1"])

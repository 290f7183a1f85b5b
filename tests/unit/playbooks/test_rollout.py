"""When a workload's pods count as running, and what is told of those that do not."""

import importlib
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def rollout() -> ModuleType:
    return importlib.import_module("ansible.module_utils.k8sbootstrap_rollout")


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

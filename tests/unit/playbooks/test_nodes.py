"""Labels and taints of nodes: what others set stays, what we set and no longer want goes."""

import importlib
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

OURS = "k8sbootstrap.io/managed"
DEDICATED = {"key": "example.com/dedicated", "value": "batch", "effect": "NoSchedule"}
MASTER = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
CORDON = {
    "key": "node.kubernetes.io/unschedulable",
    "effect": "NoSchedule",
    "timeAdded": "2026-11-24T02:00:00Z",
}


@pytest.fixture(scope="module")
def kube_nodes() -> ModuleType:
    return importlib.import_module("ansible.module_utils.k8sbootstrap.kube.objects")


def node(labels: dict[str, str], taints: list[dict[str, str]], managed: Any = None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "worker1", "labels": labels}
    if managed is not None:
        metadata["annotations"] = {OURS: json.dumps(managed)}
    return {"metadata": metadata, "spec": {"taints": taints} if taints else {}}


def merged(before: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """What the API server makes of a merge patch."""
    result = dict(before)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merged(result.get(key, {}), value)
        else:
            result[key] = value
    return result


Patch = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


@pytest.fixture
def patch(kube_nodes: ModuleType) -> Patch:
    """Makes the patch, and sees that once it is applied nothing is left to do."""

    def _patch(now: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = kube_nodes.node_patch(now, wanted)
        assert kube_nodes.node_patch(merged(now, made), wanted) == {}
        return made

    return _patch


def test_labels_are_added_and_changed(patch: Patch) -> None:
    now = node({"kubernetes.io/os": "linux", "disk": "hdd"}, [])
    made = patch(now, {"labels": {"disk": "ssd", "zone": "a"}, "taints": []})
    assert made["metadata"]["labels"] == {"disk": "ssd", "zone": "a"}
    assert "spec" not in made


def test_only_labels_that_we_set_are_removed(patch: Patch) -> None:
    now = node({"zone": "a", "theirs": "x"}, [], {"labels": ["zone"], "taints": []})
    made = patch(now, {"labels": {}, "taints": []})
    assert made["metadata"]["labels"] == {"zone": None}


def test_taints_of_others_stay(patch: Patch) -> None:
    now = node({}, [CORDON])
    made = patch(now, {"labels": {}, "taints": [DEDICATED]})
    assert made["spec"]["taints"] == [CORDON, DEDICATED]


def test_only_taints_that_we_set_are_removed(patch: Patch) -> None:
    now = node({}, [DEDICATED, CORDON], {"labels": {}, "taints": ["example.com/dedicated:NoSchedule"]})
    made = patch(now, {"labels": {}, "taints": []})
    assert made["spec"]["taints"] == [CORDON]


def test_a_taint_whose_value_changed_is_replaced(patch: Patch) -> None:
    managed = {"labels": {}, "taints": ["example.com/dedicated:NoSchedule"]}
    now = node({}, [dict(DEDICATED, value="old")], managed)
    assert patch(now, {"labels": {}, "taints": [DEDICATED]})["spec"]["taints"] == [DEDICATED]


def test_an_empty_value_is_no_difference(patch: Patch) -> None:
    managed = {"labels": {}, "taints": ["node-role.kubernetes.io/control-plane:NoSchedule"]}
    assert patch(node({}, [MASTER], managed), {"labels": {}, "taints": [dict(MASTER, value="")]}) == {}


def test_a_taint_that_the_kubelet_registered_with_is_ours(patch: Patch) -> None:
    made = patch(node({}, [MASTER]), {"labels": {}, "taints": [MASTER]})
    assert list(made) == ["metadata"]
    assert json.loads(made["metadata"]["annotations"][OURS])["taints"] == [
        "node-role.kubernetes.io/control-plane:NoSchedule"
    ]


def test_nothing_wanted_and_nothing_set_needs_one_annotation(patch: Patch) -> None:
    assert patch(node({"theirs": "x"}, [CORDON]), {"labels": {}, "taints": []}) == {
        "metadata": {"annotations": {OURS: '{"labels": {}, "taints": []}'}}
    }

"""What was applied is told from what others changed, by the fields that the API server noted."""

import importlib
from types import ModuleType
from typing import Any

import pytest

FIELDS = {
    "f:data": {"f:a": {}},
    "f:metadata": {"f:labels": {"f:l": {}}},
    "f:spec": {"f:list": {'k:{"name":"web"}': {".": {}, "f:image": {}}, 'v:"x"': {}}, "f:replicas": {}},
}
LIVE = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "default",
        "labels": {"l": "1", "theirs": "x"},
        "managedFields": [
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:data": {"f:b": {}}}},
            {"manager": "k8sbootstrap", "operation": "Apply", "fieldsV1": FIELDS},
        ],
    },
    "data": {"a": "1", "b": "theirs"},
    "spec": {"list": [{"name": "web", "image": "i", "other": 1}, "x"], "replicas": 2},
}


@pytest.fixture(scope="module")
def addons() -> ModuleType:
    return importlib.import_module("ansible.module_utils.k8sbootstrap.kube.addons")


def test_values_are_those_of_our_fields(addons: ModuleType) -> None:
    found = addons.values(FIELDS, LIVE)
    assert found["f:data"] == {"f:a": "1"}
    assert found["f:spec"]["f:replicas"] == 2
    assert found["f:spec"]["f:list"]['k:{"name":"web"}']["f:image"] == "i"
    assert found["f:spec"]["f:list"]['v:"x"'] is True


@pytest.mark.parametrize(
    ("path", "value", "ours"),
    [
        (("data", "b"), "other", False),
        (("metadata", "labels", "theirs"), "y", False),
        (("metadata", "resourceVersion"), "9", False),
        (("status",), {"replicas": 2}, False),
        (("data", "a"), "2", True),
        (("spec", "replicas"), 1, True),
        (("spec", "list"), [{"name": "web", "image": "j"}, "x"], True),
        (("spec", "list"), [{"name": "web", "image": "i"}], True),
        (("metadata", "managedFields"), [], True),
    ],
)
def test_only_changes_of_our_fields_are_seen(
    addons: ModuleType, path: tuple[str, ...], value: object, *, ours: bool
) -> None:
    live: dict[str, Any] = importlib.import_module("copy").deepcopy(LIVE)
    at = live
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    entry = addons.entry_of({key: LIVE[key] for key in ("apiVersion", "kind", "metadata")}, LIVE)
    assert addons.drifted([entry], {entry["id"]: live}) == ([entry["id"]] if ours else [])


def test_what_is_gone_has_changed(addons: ModuleType) -> None:
    entry = addons.entry_of(LIVE, LIVE)
    assert addons.drifted([entry], {}) == [entry["id"]]


def test_the_default_namespace_need_not_be_written(addons: ModuleType) -> None:
    wanted = {"apiVersion": "apps/v1beta1", "kind": "Deployment", "metadata": {"name": "web"}}
    assert addons.by_identity([LIVE])[addons.identity(wanted)] is LIVE
    elsewhere = {**LIVE, "metadata": {"name": "web", "namespace": "other"}}
    assert addons.identity(wanted) not in addons.by_identity([elsewhere])


def test_what_is_in_no_namespace_may_be_sent_with_one(addons: ModuleType) -> None:
    live = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}}
    wanted = {**live, "metadata": {"name": "x", "namespace": "store"}}
    found = addons.by_identity([live])
    assert addons.answered(found, wanted) is live
    assert addons.answered(found, live) is live
    entry = addons.entry_of(wanted, live)
    assert addons.drifted([entry], {entry["id"]: live}) == []
    assert addons.reference(entry)["metadata"] == {"name": "x"}


def test_kinds_that_are_gone_have_no_objects(addons: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = importlib.import_module("ansible.module_utils.k8sbootstrap.kube.kubectl")

    def answer(*arguments: str, stdin: str = "") -> dict[str, Any]:
        if "Widget" in arguments[1]:
            raise kubectl.KubectlError('error: the server doesn\'t have a resource type "Widget"')
        return {"items": [LIVE]}

    monkeypatch.setattr(addons, "kubectl_json", answer)
    widget = {**LIVE, "apiVersion": "example.com/v1", "kind": "Widget"}
    entries = [addons.entry_of(item, item) for item in (LIVE, widget)]
    assert addons.there(entries) == {"Deployment.apps/default/web": LIVE}


def test_a_number_of_pods_that_is_no_longer_written_stays(addons: ModuleType) -> None:
    written: dict[str, Any] = {**LIVE, "spec": {"replicas": 3}}
    assert addons.scale_to_keep(written, LIVE) is None
    left: dict[str, Any] = {**LIVE, "spec": {"list": []}}
    assert addons.scale_to_keep(left, LIVE) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 2},
    }
    theirs: dict[str, Any] = {**LIVE, "metadata": {**LIVE["metadata"], "managedFields": []}}
    assert addons.scale_to_keep(left, theirs) is None
    assert addons.scale_to_keep({"kind": "ConfigMap"}, LIVE) is None

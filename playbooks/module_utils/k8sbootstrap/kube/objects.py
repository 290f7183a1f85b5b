"""Kubernetes objects and nodes as they should be, against what the API server has."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.k8sbootstrap.changes import DRIFT, Change, change
from ansible.module_utils.k8sbootstrap.host.record import Data
from ansible.module_utils.k8sbootstrap.kube.kubectl import Object, items, kubectl_json

ANNOTATION = "k8sbootstrap.io/managed"
"""What labels and taints of a node were last set to: those no longer wanted are told from others' by it."""
CORDONED = "k8sbootstrap.io/cordoned"
"""Annotation of a node that k8sbootstrap keeps pods off: the release that it is to have, or the command."""
_REASON = re.compile(r"[\w.:-]{1,100}")
SUPER_ADMIN = "/etc/kubernetes/super-admin.conf"


def key_of(item: Object) -> str:
    """``Kind/namespace/name`` of an object, or ``Kind/name``."""
    namespace = item["metadata"].get("namespace", "")
    return "/".join(part for part in (item["kind"], namespace, item["metadata"]["name"]) if part)


def live_objects(wanted: list[Object], kubeconfig: str = SUPER_ADMIN) -> dict[str, Object]:
    """Those of the objects that are there, by key.

    Raises:
        KubectlError: The API server can't be asked.
    """
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted})
    found = items(kubectl_json("get", "--ignore-not-found", "-f", "-", stdin=text, kubeconfig=kubeconfig))
    return {key_of(item): item for item in found if item}


def has_all_of(wanted: Any, live: Any) -> bool:
    """Whether every field of ``wanted`` is in ``live`` with the same value; the API server adds others."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            key in live and has_all_of(value, live[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(live, list)
            and len(wanted) == len(live)
            and all(has_all_of(mine, theirs) for mine, theirs in zip(wanted, live))
        )
    return bool(wanted == live)


def different(wanted: list[Object], live: Mapping[str, Object]) -> list[str]:
    """Keys of the objects that are missing or not as wanted."""
    return sorted(key_of(item) for item in wanted if not has_all_of(item, live.get(key_of(item))))


def node_patch(node: Object, wanted: dict[str, Any]) -> dict[str, Any]:
    """The merge patch that brings one node to what is wanted; empty when nothing differs.

    Args:
        node: As the API server has it.
        wanted: ``labels`` (dict) and ``taints`` (list of key, value, effect). What others set stays.
    """
    labels = wanted.get("labels") or {}
    taints = [{key: value for key, value in taint.items() if value} for taint in wanted.get("taints") or []]
    managed = _managed(node)
    now = node["metadata"].get("labels", {})
    new_labels = {key: value for key, value in labels.items() if now.get(key) != value}
    new_labels.update({key: None for key in managed["labels"] if key not in labels and key in now})
    ids = [_taint_id(taint) for taint in taints]
    current = node["spec"].get("taints") or []
    others = [taint for taint in current if _taint_id(taint) not in {*ids, *managed["taints"]}]
    ours = [taint for taint in current if taint not in others]
    patch: dict[str, Any] = {}
    if new_labels:
        patch.setdefault("metadata", {})["labels"] = new_labels
    if sorted(map(_plain, ours)) != sorted(map(_plain, taints)):
        patch["spec"] = {"taints": others + taints}
    memory = json.dumps({"labels": labels, "taints": sorted(ids)}, sort_keys=True)
    if node["metadata"].get("annotations", {}).get(ANNOTATION) != memory:
        patch.setdefault("metadata", {})["annotations"] = {ANNOTATION: memory}
    return patch


def cluster_drift(
    record: Data,
) -> tuple[dict[str, list[Change]], dict[str, str], dict[str, str], dict[str, str]]:
    """What somebody changed of the objects, labels and taints that this master's runs applied.

    Args:
        record: The master's record: ``objects`` and ``nodes``, of which only one master has any.

    Returns:
        Changes by role, every node's podCIDR, its address, and why k8sbootstrap keeps pods off nodes, by
        node.

    Raises:
        KubectlError: The API server can't be asked.
    """
    found: dict[str, list[Change]] = {"cluster_rbac": [], "node_settings": []}
    objects = record["objects"]
    for key in different(objects, live_objects(objects)) if objects else ():
        found["cluster_rbac"].append(change("object", "apply", key, DRIFT))
    live = {item["metadata"]["name"]: item for item in kubectl_json("get", "nodes")["items"]}
    for name, wanted in record["nodes"].items():
        if name in live and node_patch(live[name], wanted):
            found["node_settings"].append(change("node", "set", name, DRIFT))
    cordoned = {name: reason for name, node in live.items() if (reason := cordoned_for(node)) is not None}
    ranges = {name: node["spec"].get("podCIDR", "") for name, node in live.items()}
    return found, ranges, {name: _address(node) for name, node in live.items()}, cordoned


def cordoned_for(node: Object) -> str | None:
    """Why k8sbootstrap keeps pods off a node: None where it does not, empty where nobody can tell."""
    reason = node["metadata"].get("annotations", {}).get(CORDONED)
    if reason is None:
        return None
    return reason if _REASON.fullmatch(reason) else ""


def _address(node: Object) -> str:
    addresses = node.get("status", {}).get("addresses") or []
    return next((each["address"] for each in addresses if each["type"] == "InternalIP"), "")


def _managed(node: Object) -> dict[str, Any]:
    text = node["metadata"].get("annotations", {}).get(ANNOTATION)
    found: dict[str, Any] = json.loads(text) if text else {"labels": {}, "taints": []}
    return found


def _taint_id(taint: dict[str, Any]) -> str:
    return "{}:{}".format(taint["key"], taint["effect"])


def _plain(taint: dict[str, Any]) -> str:
    return json.dumps(taint, sort_keys=True)

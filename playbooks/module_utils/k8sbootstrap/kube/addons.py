"""What was applied to the cluster: remembered in the cluster itself, and compared with what it has now.

The memory is a Secret, for what is applied may be secret and hashes of it can be guessed. Any master can read
it, so that the loss of the one that applied the objects loses nothing.

The API server notes for every object which fields were applied under our name: only these are compared, so
what others add is theirs. Whoever changes or removes one takes it over, or leaves another value in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypedDict

from ansible.module_utils.k8sbootstrap.changes import DRIFT, Change, change
from ansible.module_utils.k8sbootstrap.kube.kubectl import KubectlError, Object, items, kubectl, kubectl_json
from ansible.module_utils.k8sbootstrap.kube.objects import key_of

LABEL = "k8sbootstrap.io/addon"
"""On every object that was applied; its value is the group that the object belongs to."""
MANAGER = "k8sbootstrap"
APPLY = ("apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "-f", "-")
KEEP_SCALE = ("apply", "--server-side", "--validate=false", f"--field-manager={MANAGER}-scale", "-f", "-")
"""Keeps numbers of pods that are no longer ours, until an autoscaler takes them over."""
_NAMESPACE, _NAME = "kube-system", "k8sbootstrap-addons"


class Entry(TypedDict):
    """What is remembered of an object."""

    id: str
    """See ``identity``."""
    apiVersion: str
    kind: str
    namespace: str
    name: str
    digest: str
    """Of the object as it was wanted."""
    fields: str
    """See ``fields_of``."""


def identity(item: Object) -> str:
    """``Kind.group/namespace/name``: the same for the object in every version of its API."""
    group = item["apiVersion"].rpartition("/")[0]
    metadata = item["metadata"]
    return "/".join((f"{item['kind']}.{group}", metadata.get("namespace", ""), metadata["name"]))


def digest_of(item: Object) -> str:
    """Digest of an object as it is wanted."""
    return hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()[:32]


def fields_of(item: Object) -> str:
    """Digest of the fields that are noted as applied under our name, with their values; empty without any."""
    for entry in item["metadata"].get("managedFields", ()):
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply":
            return digest_of(values(entry.get("fieldsV1", {}), item))
    return ""


def scale_to_keep(wanted: Object, live: Object) -> Object | None:
    """The number of pods that was applied under our name and is no longer wanted to be said, as an object.

    A field that nobody applies any more is taken off, and without ``replicas`` there is one pod.

    Args:
        wanted: The object as it is about to be applied.
        live: The same as the cluster has it.
    """
    spec = wanted.get("spec")
    if not isinstance(spec, dict) or "replicas" in spec:
        return None
    for entry in live["metadata"].get("managedFields", ()):
        mine = entry.get("manager") == MANAGER and entry.get("operation") == "Apply"
        if mine and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {}):
            item = reference(entry_of(live, live))
            return {**item, "spec": {"replicas": live["spec"]["replicas"]}}
    return None


def values(fields: dict[str, Any], value: Any) -> Any:
    """What is in ``value`` at the fields of a ``fieldsV1``, in its form; None where nothing is.

    Its keys are ``f:NAME`` for a field, ``k:KEYS`` for the list entry that has these, ``v:VALUE`` for a value
    of a list, and ``.`` for the thing itself.
    """
    if not fields:
        return value
    found = {}
    for key, inner in fields.items():
        kind, _, name = key.partition(":")
        part = None
        if kind == "f" and isinstance(value, dict):
            part = value.get(name)
        elif kind == "k" and isinstance(value, list):
            wanted = json.loads(name).items()
            part = next((item for item in value if all(item.get(at) == is_ for at, is_ in wanted)), None)
        elif kind == "v" and isinstance(value, list):
            part = json.loads(name) in value
        found[key] = values(inner, part)
    return found


def entry_of(wanted: Object, applied: Object) -> Entry:
    """What is remembered of an object."""
    return {
        "id": identity(wanted),
        "apiVersion": applied["apiVersion"],
        "kind": applied["kind"],
        "namespace": applied["metadata"].get("namespace", ""),
        "name": applied["metadata"]["name"],
        "digest": digest_of(wanted),
        "fields": fields_of(applied),
    }


def reference(entry: Entry) -> Object:
    """An object that says no more than which one it is."""
    metadata = {"name": entry["name"]}
    if entry["namespace"]:
        metadata["namespace"] = entry["namespace"]
    return {"apiVersion": entry["apiVersion"], "kind": entry["kind"], "metadata": metadata}


def remembered() -> list[Entry]:
    """What was applied last, in its order.

    Raises:
        KubectlError: The API server can't be asked.
    """
    found = kubectl_json("-n", _NAMESPACE, "get", "secret", _NAME, "--ignore-not-found")
    if "data" not in found:
        return []
    entries: list[Entry] = json.loads(base64.b64decode(found["data"]["applied"]))
    return entries


def remember(entries: list[Entry]) -> None:
    """Replace the memory.

    Raises:
        KubectlError: The API server can't be asked.
    """
    if not entries:
        kubectl("-n", _NAMESPACE, "delete", "secret", _NAME, "--ignore-not-found")
        return
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "k8sbootstrap.io/addons",
        "metadata": {"name": _NAME, "namespace": _NAMESPACE},
        "data": {"applied": base64.b64encode(json.dumps(entries).encode()).decode()},
    }
    kubectl(*APPLY, stdin=json.dumps(secret))


def managed_json(*arguments: str, stdin: str = "") -> Object:
    """``kubectl_json`` with who manages which fields."""
    return kubectl_json(*arguments, "--show-managed-fields", stdin=stdin)


def there(entries: list[Entry]) -> dict[str, Object]:
    """The remembered objects that the cluster has and that still carry our label, by their id.

    Raises:
        KubectlError: The API server can't be asked.
    """
    kinds = sorted({_resource(entry) for entry in entries})
    found = by_identity(_labelled(kinds))
    live = {entry["id"]: found.get(identity(reference(entry))) for entry in entries}
    return {name: item for name, item in live.items() if item}


def by_identity(found: list[Object]) -> dict[str, Object]:
    """The API server's objects by identity; those of the namespace default also by the one without it."""
    known = {identity(item): item for item in found}
    short = {name.replace("/default/", "//", 1): item for name, item in known.items() if "/default/" in name}
    return {**short, **known}


def answered(found: Mapping[str, Object], wanted: Object) -> Object:
    """What the API server made of a wanted object; it takes the namespace off what is in none.

    Args:
        found: Its objects, as ``by_identity`` has them.
        wanted: What was sent.
    """
    bare = {**wanted, "metadata": {**wanted["metadata"], "namespace": ""}}
    return found.get(identity(wanted)) or found[identity(bare)]


def drifted(entries: list[Entry], live: Mapping[str, Object]) -> list[str]:
    """Ids of the remembered objects that are gone, or of which somebody changed what was applied."""
    return [
        entry["id"]
        for entry in entries
        if entry["id"] not in live or fields_of(live[entry["id"]]) != entry["fields"]
    ]


def addon_drift() -> list[Change]:
    """Changes for all that somebody changed of what was applied.

    Raises:
        KubectlError: The API server can't be asked.
    """
    entries = remembered()
    changed = set(drifted(entries, there(entries))) if entries else set()
    return [
        change("object", "apply", key_of(reference(entry)), DRIFT)
        for entry in entries
        if entry["id"] in changed
    ]


def _resource(entry: Entry) -> str:
    group, _, version = entry["apiVersion"].rpartition("/")
    return f"{entry['kind']}.{version}.{group}"


def _labelled(kinds: list[str]) -> list[Object]:
    if not kinds:
        return []
    command = ("get", ",".join(kinds), "--all-namespaces", f"--selector={LABEL}")
    try:
        return items(managed_json(*command))
    except KubectlError as error:
        if "doesn't have a resource type" not in str(error):
            raise
        if len(kinds) == 1:  # its definition is gone, or its API version
            return []
    return [item for kind in kinds for item in _labelled([kind])]

"""Applies the cluster's addons in order, and takes off those that are no longer wanted."""

from __future__ import annotations

import json
import time
from typing import TypedDict

from ansible.module_utils.k8sbootstrap.changes import CONFIGURATION, DRIFT, NEW, Cause, Change, change
from ansible.module_utils.k8sbootstrap.host.record import Record
from ansible.module_utils.k8sbootstrap.kube.addons import (
    APPLY,
    KEEP_SCALE,
    answered,
    by_identity,
    digest_of,
    drifted,
    entry_of,
    identity,
    managed_json,
    reference,
    remember,
    remembered,
    scale_to_keep,
    there,
)
from ansible.module_utils.k8sbootstrap.kube.kubectl import KubectlError, Object, items, kubectl
from ansible.module_utils.k8sbootstrap.kube.objects import key_of
from ansible.module_utils.k8sbootstrap.kube.rollout import wait_for, wait_for_nodes
from ansible.module_utils.k8sbootstrap.module import Module, one_line

DOCUMENTATION = """
module: kube_addons
short_description: Server-side apply of objects in order, with pruning
description:
  - Runs on a master. Only objects that differ from what was applied last, or that somebody changed since, are
    applied. What was applied before and is no longer wanted is deleted.
  - What was applied is remembered in the Secret kube-system/k8sbootstrap-addons.
options:
  groups:
    description: >-
      JSON list of groups in their order, each with name, wait (whether its pods must run before the module
      ends) and objects (source, number of the document in it, object).
    type: str
    required: true
  nodes:
    description: Names of nodes that must be Ready before the module ends, but for those that are lost.
    type: list
    elements: str
    default: []
  timeout: {description: Seconds to wait for the pods of each group, type: int, default: 300}
  component: {description: Name in the host's record, type: str, required: true}
  digest: {description: Of the inputs, for the host's record, type: str, default: ""}
"""

_FIRST = ("Namespace", "CustomResourceDefinition")
"""Kinds that other objects of their group need."""
_KEEP = "k8sbootstrap.io/prune"
"""Annotation; objects that have it with the value "false" stay when they are no longer wanted."""
_OWN_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_TRANSIENT = (
    "failed calling webhook",
    "no matches for kind",
    "InternalError",
    "ServiceUnavailable",
    "was refused",
)
"""In what kubectl says when an object may be taken a little later: what it needs was applied just now."""
_PATIENCE = 60.0
_SHOWN = 5


class Wanted(TypedDict):
    """An object that is wanted, and where it is written."""

    source: str
    number: int
    """Of the document in the source."""
    object: Object


class Group(TypedDict):
    """Objects that are applied together."""

    name: str
    wait: bool
    """Whether its pods must run before the module ends."""
    objects: list[Wanted]


class _Addons:
    """One run of the module.

    Args:
        groups: The groups.
        check_mode: Change nothing; a cluster that is not there yet has nothing.
    """

    def __init__(self, groups: list[Group], check_mode: bool) -> None:
        self.groups = groups
        self.wanted = [entry for group in groups for entry in group["objects"]]
        try:
            self.before = remembered()
            self.live = there(self.before)
        except KubectlError:
            if not check_mode:
                raise
            self.before, self.live = [], {}
        known = {entry["id"]: entry for entry in self.before}
        changed = set(drifted(self.before, self.live))
        self.causes: dict[str, Cause] = {}
        for entry in self.wanted:
            name = identity(entry["object"])
            if name not in known:
                self.causes[name] = NEW
            elif known[name]["digest"] != digest_of(entry["object"]):
                self.causes[name] = CONFIGURATION
            elif name in changed:
                self.causes[name] = DRIFT
        ids = {identity(entry["object"]) for entry in self.wanted}
        self.unwanted = [
            self.live[entry["id"]]
            for entry in reversed(self.before)
            if entry["id"] not in ids and entry["id"] in self.live and _may_go(self.live[entry["id"]])
        ]

    def changes(self) -> list[Change]:
        """What there is to do."""
        applied = [
            change("object", "apply", key_of(entry["object"]), self.causes[identity(entry["object"])])
            for entry in self.wanted
            if identity(entry["object"]) in self.causes
        ]
        return applied + [change("object", "remove", key_of(item), CONFIGURATION) for item in self.unwanted]

    def run(self) -> None:
        """Do it.

        Raises:
            KubectlError: Names the object, and where it is written.
        """
        ids = [identity(entry["object"]) for entry in self.wanted]
        memory = {entry["id"]: entry for entry in self.before}
        if self.causes:  # what a killed run has applied is known to the next one
            planned = [entry["object"] for entry in self.wanted if identity(entry["object"]) not in memory]
            remember(self.before + [{**entry_of(item, item), "digest": ""} for item in planned])
        self._keep_scales()
        for group in self.groups:
            mine = [entry for entry in group["objects"] if identity(entry["object"]) in self.causes]
            first = [entry for entry in mine if entry["object"]["kind"] in _FIRST]
            for batch in (first, [entry for entry in mine if entry not in first]):
                for entry, applied in _apply(batch):
                    memory[identity(entry["object"])] = entry_of(entry["object"], applied)
        if self.unwanted:
            gone = json.dumps(_list([reference(entry_of(item, item)) for item in self.unwanted]))
            kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=gone)
        after = [memory[name] for name in ids]
        if after != self.before:
            remember(after)

    def _keep_scales(self) -> None:
        found = [
            scale_to_keep(entry["object"], self.live[name])
            for entry in self.wanted
            for name in [identity(entry["object"])]
            if name in self.causes and name in self.live
        ]
        kept = [item for item in found if item]
        if kept:
            kubectl(*KEEP_SCALE, stdin=json.dumps(_list(kept)))


def _may_go(item: Object) -> bool:
    if item["kind"] == "Namespace" and item["metadata"]["name"] in _OWN_NAMESPACES:
        return False
    return bool(item["metadata"].get("annotations", {}).get(_KEEP) != "false")


def _list(objects: list[Object]) -> Object:
    return {"apiVersion": "v1", "kind": "List", "items": objects}


def _apply(batch: list[Wanted]) -> list[tuple[Wanted, Object]]:
    """Apply objects together; where that fails, one by one, to name those that are at fault.

    Returns:
        Each entry with the object that the API server made of it.
    """
    if not batch:
        return []
    try:
        text = json.dumps(_list([entry["object"] for entry in batch]))
        found = by_identity(items(managed_json(*APPLY, stdin=text)))
        done = [(entry, answered(found, entry["object"])) for entry in batch]
    except KubectlError:
        done = _apply_each(batch)
    _established([item for _, item in done if item["kind"] == "CustomResourceDefinition"])
    return done


def _apply_each(batch: list[Wanted]) -> list[tuple[Wanted, Object]]:
    done: list[tuple[Wanted, Object]] = []
    failures: list[str] = []
    deadline = time.monotonic() + _PATIENCE
    for entry in batch:
        while True:
            try:
                done.append((entry, managed_json(*APPLY, stdin=json.dumps(entry["object"]))))
                break
            except KubectlError as error:
                if any(text in str(error) for text in _TRANSIENT) and time.monotonic() < deadline:
                    time.sleep(2)
                    continue
                place = f"{entry['source']}, document {entry['number']}, {key_of(entry['object'])}"
                failures.append(f"{place}: {error}")
                break
    if failures:
        rest = f"\nand {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else ""
        raise KubectlError("\n".join(failures[:_SHOWN]) + rest)
    return done


def _established(definitions: list[Object]) -> None:
    """Wait until the API server serves the kinds of these definitions."""
    if definitions:
        names = [f"customresourcedefinition/{item['metadata']['name']}" for item in definitions]
        kubectl("wait", "--for=condition=Established", "--timeout=25s", *names)


@one_line
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "groups": {"type": "str", "required": True, "no_log": True},
            "nodes": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 300},
            "component": {"type": "str", "required": True},
            "digest": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    groups: list[Group] = json.loads(module.params["groups"])
    record = Record(module.check_mode)
    part = record.component(module.params["component"])
    try:
        addons = _Addons(groups, module.check_mode)
        if not module.check_mode:
            addons.run()
            for group in groups:
                if group["wait"]:
                    wait_for([entry["object"] for entry in group["objects"]], module.params["timeout"])
            wait_for_nodes(module.params["nodes"])
    except KubectlError as error:
        module.fail_json(msg=str(error))
    record.data["addons"] = len(addons.wanted)
    part["digest"] = module.params["digest"]
    record.save()
    changes = addons.changes()
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()

"""Module half of the ``component`` action; see playbooks/action_plugins/component.py for what users write."""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.k8sbootstrap.changes import CLUSTER, CONFIGURATION, DRIFT, NEW, Change, change
from ansible.module_utils.k8sbootstrap.host.arrivals import arrived
from ansible.module_utils.k8sbootstrap.host.files import FileSet
from ansible.module_utils.k8sbootstrap.host.record import Component, Record
from ansible.module_utils.k8sbootstrap.host.request import Etcd, Request
from ansible.module_utils.k8sbootstrap.host.retire import stop_retired, take_off
from ansible.module_utils.k8sbootstrap.host.units import UnitError, Units
from ansible.module_utils.k8sbootstrap.images.load import ImageError, load_images
from ansible.module_utils.k8sbootstrap.images.registry import RegistryError, fill, lacking
from ansible.module_utils.k8sbootstrap.kube.authentication import give, hold
from ansible.module_utils.k8sbootstrap.kube.etcd import note_formed, permitted
from ansible.module_utils.k8sbootstrap.kube.etcd_join import become_voter
from ansible.module_utils.k8sbootstrap.kube.kubectl import KubectlError
from ansible.module_utils.k8sbootstrap.made_with import MadeWithError, require_same
from ansible.module_utils.k8sbootstrap.module import Module, cause_of, one_line

DOCUMENTATION = """
module: component
short_description: Installs one component in one call
description:
  - Called by the action plugin of the same name, which renders templates and sends files.
options:
  request:
    description: The whole request as JSON.
    type: str
    required: true
  uploads:
    description: Destination to path of files that the action has sent.
    type: dict
    default: {}
"""


def _apply(request: Request, uploads: dict[str, str], record: Record) -> dict[str, Any]:
    check_mode = record.check_mode
    record.data["cluster"] = request["cluster"] or record.data["cluster"]
    if request["absent"]:
        changes = [each for name in request["absent"] for each in take_off(name, record, check_mode)]
        return {"changed": bool(changes), "changes": changes}
    require_same(record, request["name"], request["made_with"], request["files"])
    files = FileSet(request, record, check_mode)
    part = record.component(request["name"])
    if request["restart"]:
        # in check mode nothing was written down, so the first call says what waits and why
        record.data["pending_restarts"] += request["pending"] if check_mode else []
        units = Units(request["name"], request["units"], record, check_mode, request["inputs"])
        units.restart_one_by_one(request["peers"])
        for wanted in request["files"] if not check_mode else ():
            give(wanted, files)
        if request["etcd"]:
            note_formed(record, request["etcd"]["members"])
        part["digest"] = request["digest"]
        record.save()
        changes = [*units.changes, *files.changes]
        return {"changed": bool(changes), "changes": changes, "diff": files.diffs}
    missing = files.missing_binaries(uploads) + _missing_archives(request, part, uploads, check_mode)
    if missing:
        return {"changed": False, "missing": missing}
    retired = stop_retired(request["name"], request["units"], record, check_mode)
    waits = not check_mode and hold(request["files"])
    files.apply(uploads)
    _name_causes(files.changes, request, part)
    _restart_anyway(request, files, record)
    replaced = [each for name in request["replaces"] for each in take_off(name, record, check_mode)]
    units = Units(request["name"], request["units"], record, check_mode, files.inputs)
    with permitted(record, request["etcd"]):
        if request["etcd"].get("restoring"):
            units.note()
            part["digest"] = ""  # there is more to do once it has its data
            record.save()
            return {"changed": bool(files.changes), "changes": files.changes, "diff": files.diffs}
        units.apply(lambda: _see_that_it_votes(request["etcd"], check_mode))
    if request["etcd"] and not units.pending:
        note_formed(record, request["etcd"]["members"])
    units.wait_for_paths(request["needs"])
    images = load_images(request["runtime"], request["images"], check_mode)
    changes = [
        *retired,
        *replaced,
        *files.changes,
        *(change("image", "load", ref, DRIFT if ref in part["images"] else NEW) for ref in images),
        *units.changes,
    ]
    if request["registry"]:
        changes += fill(request["registry"], part, uploads, check_mode)
    part["images"] = [image["ref"] for image in request["images"] if image["ref"] == request["sandbox_image"]]
    part["runtime"] = request["runtime"]
    part["needs"] = request["needs"]
    if not units.pending and not waits:
        part["digest"] = request["digest"]
    record.save()
    return {
        "changed": bool(changes),
        "changes": changes,
        "diff": files.diffs,
        "pending_restarts": units.pending,
        "file_waits": waits,
        "inputs": {name: files.inputs.get(name, []) for name in units.pending},
    }


def _see_that_it_votes(wanted: Etcd, check_mode: bool) -> None:
    """A member that joined is a learner at first."""
    if wanted and not check_mode:
        become_voter(wanted["name"], wanted["members"])


def _name_causes(changes: list[Change], request: Request, part: Component) -> None:
    """Where all inputs are those of last time, only what the API server said of nodes is another."""
    if request["digest"] and part["digest"] == request["digest"]:
        for each in changes:
            each["causes"] = [CLUSTER if cause == CONFIGURATION else cause for cause in each["causes"]]


def _restart_anyway(request: Request, files: FileSet, record: Record) -> None:
    """Have units restart that must, whatever their files are like."""
    record.pend(request["pending"])
    for unit in request["pending"]:
        files.inputs.setdefault(unit, []).extend(request["inputs"].get(unit, []))


def _missing_archives(
    request: Request, part: Component, uploads: dict[str, str], check_mode: bool
) -> list[str]:
    """Hashes of archives of images that the registry lacks, where these neither came nor were sent ahead."""
    refs = lacking(request["registry"], part) if request["registry"] and not check_mode else []
    missing = []
    for digest in {
        image["sha256"] for image in request["registry"].get("images", []) if image["ref"] in refs
    }:
        if digest not in uploads:
            path = arrived(request["incoming"], digest)
            if path:
                uploads[digest] = path
            else:
                missing.append(digest)
    return missing


@one_line
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "request": {"type": "str", "required": True, "no_log": True},
            "uploads": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    request: Request = json.loads(module.params["request"])
    record = Record(module.check_mode)
    try:
        result = _apply(request, module.params["uploads"], record)
    except MadeWithError as error:
        module.fail_json(msg=str(error))
    except (UnitError, KubectlError, ImageError, RegistryError, ValueError) as error:
        _fail(module, record, request["name"], str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the next run must look here again
        _fail(module, record, request["name"], cause_of(error))
    module.exit_json(**result)


def _fail(module: Module, record: Record, name: str, why: str) -> None:
    try:
        record.component(name)["digest"] = ""  # so that the next run looks here again
        record.save()
    except OSError:
        pass  # a full disk is what made it fail; the digest was not written either
    module.fail_json(msg=f"{name}: {why}")


if __name__ == "__main__":
    main()

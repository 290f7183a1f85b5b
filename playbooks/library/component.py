"""Module half of the ``component`` action; see playbooks/action_plugins/component.py for what users write."""

from __future__ import annotations

import json
import subprocess

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.k8sbootstrap_files import FileSet
from ansible.module_utils.k8sbootstrap_images import ImageError, load_images
from ansible.module_utils.k8sbootstrap_record import Record
from ansible.module_utils.k8sbootstrap_units import UnitError, Units

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


def _apply(request: dict, uploads: dict, check_mode: bool) -> dict:
    record = Record(check_mode)
    record.data["cluster"] = request["cluster"] or record.data["cluster"]
    files = FileSet(request, record, check_mode)
    result = {"restarted": [], "started": [], "changes": files.changes, "diff": files.diffs}
    if request["restart"]:
        units = Units(request["name"], request["units"], record, check_mode)
        units.restart_one_by_one(request["peers"])
        return dict(result, changed=bool(units.restarted), restarted=units.restarted, pending_restarts=[])
    missing = files.missing_binaries(uploads)
    if missing:
        return {"changed": False, "missing": missing}
    files.apply(uploads)
    units = Units(request["name"], request["units"], record, check_mode)
    units.apply()
    images = load_images(request["runtime"], request["images"], check_mode)
    result["changes"] += [f"image {ref} loaded" for ref in images]
    result["changes"] += [f"{unit} enabled" for unit in units.enabled]
    result["changes"] += [f"{unit} started" for unit in units.started]
    result["changes"] += [f"{unit} restarted" for unit in units.restarted]
    result["changed"] = bool(result["changes"])
    return dict(result, pending_restarts=units.pending, started=units.started, restarted=units.restarted)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "request": {"type": "str", "required": True, "no_log": True},
            "uploads": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    request = json.loads(module.params["request"])
    try:
        result = _apply(request, module.params["uploads"], module.check_mode)
    except (UnitError, ImageError, ValueError) as error:
        module.fail_json(msg="{}: {}".format(request["name"], error))
    except subprocess.CalledProcessError as error:
        stderr = (
            error.stderr
            if isinstance(error.stderr, str)
            else (error.stderr or b"").decode("utf-8", "replace")
        )
        module.fail_json(msg="{}: {} failed: {}".format(request["name"], " ".join(error.cmd), stderr.strip()))
    except OSError as error:
        module.fail_json(msg="{}: {}".format(request["name"], error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

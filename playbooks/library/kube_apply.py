"""Applies Kubernetes objects from a master, and says which really changed."""

from __future__ import annotations

import json

from ansible.module_utils.k8sbootstrap.changes import CONFIGURATION, DRIFT, NEW, change
from ansible.module_utils.k8sbootstrap.host.record import Record
from ansible.module_utils.k8sbootstrap.kube.kubectl import KubectlError, kubectl
from ansible.module_utils.k8sbootstrap.kube.objects import SUPER_ADMIN, different, key_of, live_objects
from ansible.module_utils.k8sbootstrap.module import Module, one_line

DOCUMENTATION = """
module: kube_apply
short_description: Server-side apply of Kubernetes objects
description:
  - Runs on a master. Objects that have every wanted field already are left alone.
  - The host's record keeps the objects, so that changes to them are found.
options:
  objects: {description: The objects, type: list, elements: dict, required: true}
  component: {description: Name in the host's record, type: str, required: true}
  digest: {description: Of the inputs, for the host's record, type: str, default: ""}
"""

_APPLY = ("apply", "--server-side", "--force-conflicts", "--field-manager=k8sbootstrap", "-f", "-")


@one_line
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "objects": {"type": "list", "elements": "dict", "required": True},
            "component": {"type": "str", "required": True},
            "digest": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    wanted = module.params["objects"]
    record = Record(module.check_mode)
    part = record.component(module.params["component"])
    known = {key_of(item): item for item in record.data["objects"]}
    try:
        try:
            keys = different(wanted, live_objects(wanted))
        except KubectlError:
            if not module.check_mode:
                raise
            keys = [key_of(item) for item in wanted]
        if keys and not module.check_mode:
            text = json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted})
            kubectl(*_APPLY, stdin=text, kubeconfig=SUPER_ADMIN)
    except KubectlError as error:
        module.fail_json(msg=str(error))
    mine = {key_of(item): item for item in wanted}
    changes = [
        change(
            "object",
            "apply",
            key,
            NEW if key not in known else DRIFT if known[key] == mine[key] else CONFIGURATION,
        )
        for key in keys
    ]
    record.data["objects"] = wanted
    part["digest"] = module.params["digest"]
    record.save()
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()

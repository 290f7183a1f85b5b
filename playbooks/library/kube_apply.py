"""Applies Kubernetes objects from a master, and says which really changed."""

from __future__ import annotations

import json

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.k8sbootstrap_kubectl import ADMIN, KubectlError, items, kubectl, kubectl_json

DOCUMENTATION = """
module: kube_apply
short_description: Server-side apply of Kubernetes objects
description:
  - Runs on a master. An object counts as changed when its resourceVersion moved.
options:
  objects: {description: The objects, type: list, elements: dict, required: true}
  kubeconfig: {description: Whose rights to use, type: path, default: /etc/kubernetes/admin.conf}
"""


def _versions(text: str, kubeconfig: str) -> dict:
    found = items(kubectl_json("get", "--ignore-not-found", "-f", "-", stdin=text, kubeconfig=kubeconfig))
    return {_key(item): item["metadata"]["resourceVersion"] for item in found if item}


def _key(item: dict) -> str:
    namespace = item["metadata"].get("namespace", "")
    return "/".join(part for part in (item["kind"], namespace, item["metadata"]["name"]) if part)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "objects": {"type": "list", "elements": "dict", "required": True},
            "kubeconfig": {"type": "path", "default": ADMIN},
        },
        supports_check_mode=True,
    )
    kubeconfig = module.params["kubeconfig"]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": module.params["objects"]})
    try:
        try:
            before = _versions(text, kubeconfig)
        except KubectlError:
            if not module.check_mode:
                raise
            before = {}
        if module.check_mode:
            changed = sorted({_key(item) for item in module.params["objects"]} - set(before))
        else:
            arguments = (
                "apply",
                "--server-side",
                "--force-conflicts",
                "--field-manager=k8sbootstrap",
                "-f",
                "-",
            )
            kubectl(*arguments, stdin=text, kubeconfig=kubeconfig)
            after = _versions(text, kubeconfig)
            changed = sorted(key for key, version in after.items() if before.get(key) != version)
    except KubectlError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changed), changes=[f"{key} applied" for key in changed])


if __name__ == "__main__":
    main()

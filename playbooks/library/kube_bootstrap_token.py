"""Bootstrap tokens: made when nodes have to join, taken away when they have."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import string

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.k8sbootstrap_kubectl import KubectlError, kubectl, kubectl_json

DOCUMENTATION = """
module: kube_bootstrap_token
short_description: Makes or removes this tool's bootstrap token
description:
  - Runs on a master. C(present) replaces any token of an earlier run, so that one exists at a time; its
    expiry makes the token cleaner remove it even when the run is killed.
options:
  state: {description: Whether the token exists, type: str, choices: [present, absent], required: true}
  ttl: {description: Life of the token in minutes, type: int, default: 15}
"""

_LABEL = "app.kubernetes.io/managed-by=k8sbootstrap"
_ALPHABET = string.ascii_lowercase + string.digits


def _text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _create(ttl: int) -> str:
    token_id, secret = _text(6), _text(16)
    expiry = dt.datetime.now(dt.timezone.utc) + dt.timedelta(minutes=ttl)
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {
            "name": "bootstrap-token-" + token_id,
            "namespace": "kube-system",
            "labels": {"app.kubernetes.io/managed-by": "k8sbootstrap"},
        },
        "stringData": {
            "token-id": token_id,
            "token-secret": secret,
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
            "expiration": expiry.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }
    kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    return f"{token_id}.{secret}"


def _delete() -> bool:
    selector = ("-n", "kube-system", "-l", _LABEL, "--field-selector=type=bootstrap.kubernetes.io/token")
    if not kubectl_json("get", "secrets", *selector)["items"]:
        return False
    kubectl("delete", "secrets", *selector)
    return True


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "required": True},
            "ttl": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=module.params["state"] == "present", token="")
    try:
        removed = _delete()
        token = _create(module.params["ttl"]) if module.params["state"] == "present" else ""
    except KubectlError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=removed or bool(token), token=token)


if __name__ == "__main__":
    main()

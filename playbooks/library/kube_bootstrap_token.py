"""Bootstrap tokens: made when nodes have to join, taken away when they have."""

from __future__ import annotations

import datetime as dt
import json

from ansible.module_utils.k8sbootstrap.kube.kubectl import KubectlError, kubectl, kubectl_json
from ansible.module_utils.k8sbootstrap.module import Module, one_line

DOCUMENTATION = """
module: kube_bootstrap_token
short_description: Makes or removes this tool's bootstrap token
description:
  - Runs on a master. C(present) replaces any token of an earlier run, so that one exists at a time; its
    expiry makes the token cleaner remove it even when the run is killed.
options:
  state: {description: Whether the token exists, type: str, choices: [present, absent], required: true}
  token_id:
    description: First part of the token. Set by the action plugin of the same name, as is token_secret.
    type: str
    default: ""
  token_secret: {description: Second part of the token; in nothing that is returned, type: str, default: ""}
  ttl: {description: Life of the token in minutes, type: int, default: 15}
"""

_LABEL = "app.kubernetes.io/managed-by=k8sbootstrap"


def _create(token_id: str, secret: str, ttl: int) -> None:
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


def _delete() -> bool:
    selector = ("-n", "kube-system", "-l", _LABEL, "--field-selector=type=bootstrap.kubernetes.io/token")
    if not kubectl_json("get", "secrets", *selector)["items"]:
        return False
    kubectl("delete", "secrets", *selector)
    return True


@one_line
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "required": True},
            "token_id": {"type": "str", "default": "", "no_log": False},
            "token_secret": {"type": "str", "default": "", "no_log": True},
            "ttl": {"type": "int", "default": 15},
        },
        required_if=[("state", "present", ("token_id", "token_secret"))],
        supports_check_mode=True,
    )
    params = module.params
    present = params["state"] == "present"
    if module.check_mode:
        module.exit_json(changed=present)
    try:
        removed = _delete()
        if present:
            _create(params["token_id"], params["token_secret"], params["ttl"])
    except KubectlError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=removed or present)


if __name__ == "__main__":
    main()

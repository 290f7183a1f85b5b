"""Whether the kubelet here has a client certificate that is good, and its node is in the cluster."""

from __future__ import annotations

import http.client
import os
import ssl
import time
import urllib.parse
from http import HTTPStatus

from ansible.module_utils.k8sbootstrap.host.certificates import has_expired, signed_by_another
from ansible.module_utils.k8sbootstrap.module import Module, one_line

DOCUMENTATION = """
module: kubelet_identity
short_description: Says whether the node has joined, and is still there
description:
  - Asks the API server with the kubelet's own certificate. Where it does not answer, the node counts as
    there.
  - A certificate that has expired, that another CA signed, or that the API server does not take is put
    aside, so that the node can join anew.
options:
  name: {description: Name of the node, type: str, required: true}
  certificate: {description: Path of the kubelet's client certificate and key, type: str, required: true}
  ca: {description: Path of the CA of the API server, type: str, required: true}
  authority:
    description: The CA, in PEM, that signs kubelets' certificates now. Others may follow that are trusted.
    type: str
    required: true
  server: {description: URL of the API server, type: str, required: true}
"""
ASIDE = ".not-good"
_TIMEOUT = 5


def ask(params: dict[str, str]) -> int:
    """The API server's status for the node; 0 where it does not answer."""
    url = urllib.parse.urlsplit(params["server"])
    try:
        context = ssl.create_default_context(cafile=params["ca"])
        context.load_cert_chain(params["certificate"])
        connection = http.client.HTTPSConnection(
            url.hostname or "", url.port, timeout=_TIMEOUT, context=context
        )
        try:
            connection.request("GET", "/api/v1/nodes/" + params["name"])
            return connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException):
        return 0


def find(params: dict[str, str], *, check_mode: bool) -> dict[str, bool]:
    """Look at the certificate and the node; put a certificate aside that is not good, unless in check mode.

    Returns:
        ``exists``: whether the kubelet has a certificate; ``registered``: whether its node is in the cluster.
    """
    certificate = params["certificate"]
    if not os.path.exists(certificate):
        return {"exists": False, "registered": True}
    status = ask(params)
    good = (
        status != HTTPStatus.UNAUTHORIZED
        and not has_expired(certificate, time.time())
        and not signed_by_another(certificate, params["authority"])
    )
    if not good and not check_mode:
        os.replace(certificate, certificate + ASIDE)
    return {"exists": good, "registered": status != HTTPStatus.NOT_FOUND}


@one_line
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            name: {"type": "str", "required": True}
            for name in ("name", "certificate", "ca", "authority", "server")
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **find(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()

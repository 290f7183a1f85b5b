"""Whether the kubelet here has a client certificate that is good, and its node is in the cluster."""

from __future__ import annotations

import http.client
import os
import ssl
import time
import urllib.parse

from ansible.module_utils.k8sbootstrap.module import Module, one_line

DOCUMENTATION = """
module: kubelet_identity
short_description: Says whether the node has joined, and is still there
description:
  - Asks the API server with the kubelet's own certificate. Where it does not answer, the node counts as
    there.
  - A certificate that has expired or that the API server does not take is put aside, so that the node can
    join anew.
options:
  name: {description: Name of the node, type: str, required: true}
  certificate: {description: Path of the kubelet's client certificate and key, type: str, required: true}
  ca: {description: Path of the CA of the API server, type: str, required: true}
  server: {description: URL of the API server, type: str, required: true}
"""
ASIDE = ".not-good"
_TIMEOUT = 5


def has_expired(path: str, now: float) -> bool:
    """Whether a certificate is no longer good at the time ``now``; one that can't be read is."""
    try:
        end = ssl._ssl._test_decode_cert(path)["notAfter"]  # type: ignore[attr-defined] # noqa: SLF001 - nothing else reads it
        return ssl.cert_time_to_seconds(end) < now
    except (AttributeError, KeyError, ValueError):
        return False
    except OSError:
        return True


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


@one_line
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            name: {"type": "str", "required": True} for name in ("name", "certificate", "ca", "server")
        },
        supports_check_mode=True,
    )
    certificate = module.params["certificate"]
    exists = os.path.exists(certificate)
    status = ask(module.params) if exists else 0
    if exists and (status == 401 or (status == 0 and has_expired(certificate, time.time()))):
        exists = False
        if not module.check_mode:
            os.replace(certificate, certificate + ASIDE)
    gone = status == 404
    module.exit_json(changed=False, exists=exists, registered=not gone)


if __name__ == "__main__":
    main()

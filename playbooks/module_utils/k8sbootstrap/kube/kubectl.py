"""kubectl on a master, with the admin kubeconfig that is there."""

from __future__ import annotations

import json
import subprocess
from typing import Any

Object = dict[str, Any]
"""An object of Kubernetes, or an answer of the API, as JSON has it."""
ADMIN = "/etc/kubernetes/admin.conf"


class KubectlError(Exception):
    """kubectl failed; the text is its own."""


def kubectl(*arguments: str, stdin: str = "", kubeconfig: str = ADMIN) -> str:
    """Run kubectl and return what it printed.

    Raises:
        KubectlError: with what kubectl printed on standard error.
    """
    command = ["/usr/local/bin/kubectl", "--kubeconfig=" + kubeconfig, "--request-timeout=30s", *arguments]
    try:
        done = subprocess.run(command, check=False, input=stdin, capture_output=True, text=True)
    except OSError as error:
        raise KubectlError(f"kubectl {arguments[0]}: {error}") from error
    if done.returncode != 0:
        raise KubectlError(f"kubectl {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def kubectl_json(*arguments: str, stdin: str = "", kubeconfig: str = ADMIN) -> Object:
    """Run kubectl with ``-o json``; an empty answer is an empty list."""
    out = kubectl(*arguments, "-o", "json", stdin=stdin, kubeconfig=kubeconfig)
    found: Object = json.loads(out) if out.strip() else {"items": []}
    return found


def items(answer: Object) -> list[Object]:
    """The objects in an answer, be it a list or a single object."""
    found: list[Object] = answer.get("items", [answer])
    return found

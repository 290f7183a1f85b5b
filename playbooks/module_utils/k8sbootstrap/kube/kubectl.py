"""kubectl on a master, with the admin kubeconfig that is there."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Object = dict[str, Any]
"""An object of Kubernetes, or an answer of the API, as JSON has it."""
ADMIN = "/etc/kubernetes/admin.conf"
_PATIENCE = 30.0
_Answer = TypeVar("_Answer")


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


@contextmanager
def all_within(seconds: float) -> Iterator[None]:
    """Give all that is asked in the block this long together. Only for a program's main thread.

    An API server that has just lost etcd lets each request wait until its own time is over.

    Raises:
        KubectlError: It took longer.
    """

    def end(*_: object) -> None:
        raise KubectlError(f"the API server did not answer all questions within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def patiently(ask: Callable[[], _Answer]) -> _Answer:
    """What ``ask`` returns, tried again while it raises KubectlError: an API server may be away for a while.

    Raises:
        KubectlError: It still fails ``_PATIENCE`` seconds after it failed first.
    """
    deadline = 0.0
    while True:
        try:
            return ask()
        except KubectlError:
            deadline = deadline or time.monotonic() + _PATIENCE
            if time.monotonic() > deadline:
                raise
        time.sleep(1)


def kubectl_json(*arguments: str, stdin: str = "", kubeconfig: str = ADMIN) -> Object:
    """Run kubectl with ``-o json``; an empty answer is an empty list."""
    out = kubectl(*arguments, "-o", "json", stdin=stdin, kubeconfig=kubeconfig)
    found: Object = json.loads(out) if out.strip() else {"items": []}
    return found


def items(answer: Object) -> list[Object]:
    """The objects in an answer, be it a list or a single object."""
    found: list[Object] = answer.get("items", [answer])
    return found

"""Hosts for tests without SSH: commands run in a local shell, or are answered from a script."""

import subprocess
from collections.abc import Callable
from typing import Self

from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.plan.models import SSHTarget


class LocalSession:
    """Runs everything on this machine, as whoever runs the tests."""

    def __init__(self, target: SSHTarget) -> None:
        self.target = target
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.closed = True

    def run(self, command: str, *, stdin: bytes = b"", timeout: float = 60, **_: bool) -> RunAnswer:
        done = subprocess.run(
            ["sh", "-c", command], input=stdin, capture_output=True, timeout=timeout, check=False
        )
        return RunAnswer(done.returncode, done.stdout.decode(), done.stderr.decode())


class ScriptedSession(LocalSession):
    """Asks ``reply`` for what a host's command prints; an exception is a broken connection."""

    def __init__(self, target: SSHTarget, reply: Callable[[str, str, str], RunAnswer]) -> None:
        super().__init__(target)
        self._reply = reply

    def run(self, command: str, *, stdin: bytes = b"", **_: object) -> RunAnswer:
        return self._reply(self.target.host, command, stdin.decode())


def unreachable(target: SSHTarget) -> LocalSession:
    raise HostError(f"{target.host} ({target.address}): connection timed out", "start it")

"""Hosts for tests without SSH: commands run in a local shell, or are answered from a script."""

import subprocess
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import SSHTarget


class LocalSession:
    """Runs everything on this machine, as whoever runs the tests."""

    def __init__(self, target: SSHTarget) -> None:
        self.target = target
        self.closed = False

    def open(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def shown_key(self) -> NoReturn:
        raise HostError(f"{self.target.host} has no key")

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


class AnsweredPool(Pool):
    """Hosts of which it is known already what comes of asking them first. Later they do not answer."""

    def __init__(self, answers: Mapping[str, object]) -> None:
        super().__init__(unreachable)
        self._answers = answers

    def on_all(self, *_: object) -> Any:
        answers, self._answers = self._answers, {}
        return dict(answers)


def unreachable(target: SSHTarget) -> LocalSession:
    raise HostError(f"{target.host} ({target.address}): connection timed out", "start it")

"""The cluster's hosts over SSH: one connection each, kept for the whole run, used in parallel."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self

from k8sbootstrap.errors import HostError, K8sBootstrapError
from k8sbootstrap.plan.models import SSHTarget
from k8sbootstrap.ssh.client import SSHSession
from k8sbootstrap.verify.answers import AGENT_COMMAND, Answer, Request, RunAnswer, shorten

CONNECT_TIMEOUT = 6.0
"""Seconds to wait for a host's SSH server."""
PARALLEL = 20
"""Hosts talked to at the same time."""


class Ran(Protocol):
    """How a command on a host ended."""

    @property
    def rc(self) -> int: ...  # noqa: D102
    @property
    def stdout(self) -> str: ...  # noqa: D102
    @property
    def stderr(self) -> str: ...  # noqa: D102


class Session(Protocol):
    """The part of an SSH session that verify uses."""

    def run(self, command: str, *, stdin: bytes = b"", root: bool = True, timeout: float = 60) -> Ran:
        """Run a shell command on the host."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_ssh(target: SSHTarget) -> Session:
    """An SSH session with a timeout that suits a check."""
    return SSHSession(target, timeout=CONNECT_TIMEOUT)


class Hosts:
    """Connections to hosts by name, opened when first used.

    A host that cannot be reached, or whose connection breaks, is named in ``lost`` with the reason and not
    tried again.

    Args:
        targets: How to reach each host.
        connect: Opens a session; a parameter so that tests can bring their own hosts.
    """

    def __init__(
        self, targets: Iterable[SSHTarget], connect: Callable[[SSHTarget], Session] = open_ssh
    ) -> None:
        self._targets = {target.host: target for target in targets}
        self._connect = connect
        self._sessions: dict[str, Session] = {}
        self.lost: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            session.__exit__(None, None, None)
        self._sessions.clear()

    def run(self, host: str, command: str, *, stdin: bytes = b"", timeout: float = 60) -> RunAnswer:
        """Run a shell command as root on one host.

        Args:
            host: Its name.
            command: A shell command.
            stdin: What it reads.
            timeout: Seconds until it is given up.

        Raises:
            HostError: when the host cannot be reached; the host is lost from then on.
        """
        if host in self.lost:
            raise HostError(self.lost[host])
        try:
            if host not in self._sessions:
                self._sessions[host] = self._connect(self._targets[host]).__enter__()
            ran = self._sessions[host].run(command, stdin=stdin, timeout=timeout)
        except K8sBootstrapError as error:
            self.lost[host] = f"{error}{f' ({error.hint})' if error.hint else ''}"
            raise HostError(self.lost[host]) from error
        return RunAnswer(ran.rc, ran.stdout, ran.stderr)

    def ask(self, host: str, request: Request, *, timeout: float = 60) -> Answer:
        """Have one host's agent answer a request.

        Raises:
            HostError: when the host cannot be reached or cannot run the agent; the host is lost from then on.
        """
        ran = self.run(host, AGENT_COMMAND, stdin=request.stdin(), timeout=timeout)
        try:
            if ran.rc == 0:
                return Answer.parse(ran.stdout)
            reason = ran.said
        except ValueError as error:
            reason = str(error)
        self.lost[host] = f"{host} could not run the checks with python3: {shorten(reason)}"
        raise HostError(self.lost[host])

    def ask_all(self, requests: Mapping[str, Request], *, timeout: float = 60) -> dict[str, Answer]:
        """Have many hosts answer, in parallel; hosts that could not are absent and named in ``lost``."""

        def ask(host: str) -> tuple[str, Answer | None]:
            try:
                return host, self.ask(host, requests[host], timeout=timeout)
            except HostError:
                return host, None

        with ThreadPoolExecutor(PARALLEL) as pool:
            return {host: answer for host, answer in pool.map(ask, requests) if answer is not None}

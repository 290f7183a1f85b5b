"""The cluster's hosts over SSH: one connection each, kept for the whole run, used in parallel."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self, TypeVar

from pydantic import TypeAdapter

from k8sbootstrap.errors import HostError, K8sBootstrapError
from k8sbootstrap.hosts import ask as asking
from k8sbootstrap.hosts.answers import ANSWER, Answer, Request, RunAnswer
from k8sbootstrap.hosts.ask import Question, UnusableAnswerError
from k8sbootstrap.hosts.client import SSHSession
from k8sbootstrap.plan.models import SSHTarget

T = TypeVar("T")

CONNECT_TIMEOUT = 6.0
"""Seconds to wait for a host's SSH server."""
PARALLEL = 20
"""Hosts talked to at the same time."""


class Session(asking.Session, Protocol):
    """The part of an SSH session that verify uses."""

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
        ran = self._do(host, lambda session: asking.run(session, command, stdin=stdin, timeout=timeout))
        return RunAnswer(ran.rc, ran.stdout, ran.stderr)

    def ask(self, host: str, request: Request, *, timeout: float = 60) -> Answer:
        """Have one host's agent answer a request.

        Raises:
            HostError: when the host cannot be reached or cannot run the agent; the host is lost from then on.
        """

        def ask(session: Session) -> Answer:
            answer = asking.ask(host, session, request.question(), ANSWER, timeout=timeout)
            if (set(answer.http), set(answer.run)) != (set(request.http), set(request.run)):
                raise UnusableAnswerError(
                    f"{host}: its answer can't be used: it is one to other questions",
                    hint="See what python3 prints there at start, and whether it is the right host.",
                )
            return answer

        return self._do(host, ask)

    def question(self, host: str, question: Question, form: TypeAdapter[T], *, timeout: float = 60) -> T:
        """Run a program on one host and read what it prints.

        Raises:
            HostError: when the host cannot be reached, or its answer can't be used; it is lost from then on.
        """
        return self._do(host, lambda session: asking.ask(host, session, question, form, timeout=timeout))

    def _do(self, host: str, action: Callable[[Session], T]) -> T:
        if host in self.lost:
            raise HostError(self.lost[host])
        try:
            if host not in self._sessions:
                self._sessions[host] = self._connect(self._targets[host]).__enter__()
            return action(self._sessions[host])
        except K8sBootstrapError as error:
            self.lost[host] = f"{error}{f' ({error.hint})' if error.hint else ''}"
            raise HostError(self.lost[host]) from error

    def ask_all(self, requests: Mapping[str, Request], *, timeout: float = 60) -> dict[str, Answer]:
        """Have many hosts answer, in parallel; hosts that could not are absent and named in ``lost``."""

        def ask(host: str) -> tuple[str, Answer | None]:
            try:
                return host, self.ask(host, requests[host], timeout=timeout)
            except HostError:
                return host, None

        with ThreadPoolExecutor(PARALLEL) as pool:
            return {host: answer for host, answer in pool.map(ask, requests) if answer is not None}

"""The cluster's hosts over SSH: one connection each, kept until the command ends, used in parallel."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self, TypeVar

import paramiko
from pydantic import TypeAdapter

from k8sbootstrap.errors import HostError, K8sBootstrapError
from k8sbootstrap.hosts import ask as asking
from k8sbootstrap.hosts.answers import ANSWER, Answer, Request, RunAnswer
from k8sbootstrap.hosts.ask import Question, UnusableAnswerError
from k8sbootstrap.hosts.bastions import Bastions
from k8sbootstrap.hosts.client import SSHSession
from k8sbootstrap.plan.models import SSHTarget

T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
"""Seconds that each step of connecting to a host may take."""
PARALLEL = 20
"""Hosts talked to at the same time."""


class Connection(asking.Session, Protocol):
    """What the pool needs of a session with a host."""

    def open(self) -> None:
        """Connect and log in, unless the session is open and the host answers on it."""

    def close(self) -> None:
        """End it."""

    def shown_key(self) -> paramiko.PKey:
        """The key that the host shows, unchecked."""


class Pool:
    """The SSH connections of one command: one login per host and per bastion, kept until the command ends.

    Connections are opened when first used, and again where one broke.

    Args:
        connect: Makes a session that is not open yet; a parameter so that tests can bring their own hosts.
        timeout: Seconds that each step of connecting may take.
    """

    def __init__(
        self,
        connect: Callable[[SSHTarget], Connection] | None = None,
        *,
        timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        self._bastions = Bastions(timeout)
        self._connect = connect or (lambda target: SSHSession(target, timeout, self._bastions))
        self._sessions: dict[str, Connection] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all connections, those to bastions last."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()
        self._bastions.close()

    def session(self, target: SSHTarget) -> asking.Session:
        """An open session with a host.

        Raises:
            HostKeyError: A host key is unknown or has changed.
            HostError: The host cannot be reached or refuses the login.
        """
        with self._lock_of(target.host):
            session = self._session_of(target)
            session.open()
            return session

    def disconnect(self, host: str) -> None:
        """End the connection to a host that is going down. The next use connects anew."""
        with self._lock_of(host):
            session = self._sessions.pop(host, None)
            if session is not None:
                session.close()

    def shown_key(self, target: SSHTarget, *, bastion: bool) -> paramiko.PKey:
        """The key that a host, or its bastion, shows. It is not checked, and nobody logs in there.

        Raises:
            HostKeyError: The bastion in front of the host shows an unknown or changed key.
            HostError: It cannot be reached.
        """
        if bastion:
            return self._bastions.shown_key(target)
        with self._lock_of(target.host):
            return self._session_of(target).shown_key()

    def on_all(
        self, targets: Iterable[SSHTarget], action: Callable[[str, asking.Session], T]
    ) -> dict[str, T | K8sBootstrapError]:
        """Do something on every host at once; one host's failure keeps none of the others from it.

        Args:
            targets: The hosts.
            action: Called with each host's name and session, in threads.

        Returns:
            By host, in the order of ``targets``: what ``action`` returned, or the error that ended it.
        """

        def visit(target: SSHTarget) -> T | K8sBootstrapError:
            try:
                return action(target.host, self.session(target))
            except K8sBootstrapError as exc:
                return exc

        hosts = list(targets)
        with ThreadPoolExecutor(PARALLEL) as threads:
            return dict(zip((target.host for target in hosts), threads.map(visit, hosts), strict=True))

    def _lock_of(self, host: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(host, threading.Lock())

    def _session_of(self, target: SSHTarget) -> Connection:
        if target.host not in self._sessions:
            self._sessions[target.host] = self._connect(target)
        return self._sessions[target.host]


class Hosts:
    """Hosts by name, for one look at the cluster.

    A host that cannot be reached, or whose connection breaks, is named in ``lost`` with the reason and not
    tried again.

    Args:
        pool: The connections.
        targets: How to reach each host.
    """

    def __init__(self, pool: Pool, targets: Iterable[SSHTarget]) -> None:
        self._pool = pool
        self._targets = {target.host: target for target in targets}
        self.lost: dict[str, str] = {}

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

        def ask(session: asking.Session) -> Answer:
            answer = asking.ask(host, session, request.question(), ANSWER, timeout=timeout)
            if (set(answer.http), set(answer.run)) != (set(request.http), set(request.run)):
                raise UnusableAnswerError(
                    f"{host}: its answer can't be used: it answers other questions",
                    hint="Check that it is the right host, and that python3 prints nothing there when it "
                    "starts.",
                )
            return answer

        return self._do(host, ask)

    def question(self, host: str, question: Question, form: TypeAdapter[T], *, timeout: float = 60) -> T:
        """Run a program on one host and read what it prints.

        Raises:
            HostError: when the host cannot be reached, or its answer can't be used; it is lost from then on.
        """
        return self._do(host, lambda session: asking.ask(host, session, question, form, timeout=timeout))

    def _do(self, host: str, action: Callable[[asking.Session], T]) -> T:
        if host in self.lost:
            raise HostError(self.lost[host])
        try:
            return action(self._pool.session(self._targets[host]))
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

        with ThreadPoolExecutor(PARALLEL) as threads:
            return {host: answer for host, answer in threads.map(ask, requests) if answer is not None}

"""SSH sessions with hosts: commands as the login user or as root."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

import paramiko

from k8sbootstrap.errors import HostError, SudoError
from k8sbootstrap.hosts.bastions import Bastions
from k8sbootstrap.hosts.command import CommandResult, Exchange, SudoRefusedError, TooMuchError
from k8sbootstrap.hosts.endpoint import of_host
from k8sbootstrap.hosts.known_hosts import KnownHosts
from k8sbootstrap.hosts.transport import end, enter, reach, shown_key
from k8sbootstrap.plan.models import SSHTarget

__all__ = ["CommandResult", "SSHSession"]

_PATIENCE = 20.0
"""Seconds after connecting in which a login is begun; servers end connections that wait for long."""
_QUIET = 30.0
"""Seconds without a command after which a connection is tried before it is used."""


class SSHSession:
    """A connection to one host, opened by ``open`` or by a ``with`` block; threads may share it.

    Args:
        target: The host, and how to become root there.
        timeout: Seconds that each step of connecting may take.
        bastions: Connections to bastions that are shared with other sessions; None makes one of its own.
    """

    def __init__(self, target: SSHTarget, timeout: float = 10.0, bastions: Bastions | None = None) -> None:
        self.target = target
        self._timeout = timeout
        self._place = of_host(target)
        self._alone = bastions is None
        self._bastions = bastions or Bastions(timeout)
        self._transport: paramiko.Transport | None = None
        self._counting = threading.Lock()
        self._running = 0
        self._last_used = 0.0

    def __enter__(self) -> Self:
        """The same as ``open``."""
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Connect and log in, unless the session is open and the host answers on it.

        Raises:
            HostKeyError: A host key is unknown or has changed.
            HostError: The host cannot be reached or refuses the login.
        """
        transport = self._transport
        if transport is not None and transport.is_authenticated() and self._answers(transport):
            return
        try:
            transport = self._reached()
            enter(transport, self._place, KnownHosts(self.target.known_hosts), self.target.key)
        except BaseException:
            self.close()
            raise
        self._last_used = time.monotonic()

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            end(self._transport)
            self._transport = None
        if self._alone:
            self._bastions.close()

    def shown_key(self) -> paramiko.PKey:
        """The key that the host shows, unchecked. Connects without logging in; ``open`` goes on from there.

        Raises:
            HostKeyError: The key of the bastion in front of it is unknown or has changed.
            HostError: The host cannot be reached.
        """
        return shown_key(self._reached(), self._place)

    def _reached(self) -> paramiko.Transport:
        """A connection that is not yet logged in: the one of ``shown_key``, while the server waits on it."""
        transport = self._transport
        fresh = time.monotonic() - self._last_used < _PATIENCE
        if transport is None or not (fresh and transport.is_active() and not transport.is_authenticated()):
            self.close()
            known = KnownHosts(self.target.known_hosts)
            through = self._bastions.way_to(self.target)
            transport = reach(self._place, known, self._timeout, through=through)
            self._transport, self._last_used = transport, time.monotonic()
        return transport

    def _answers(self, transport: paramiko.Transport) -> bool:
        """Whether the connection still carries commands. A firewall may have dropped one that was quiet."""
        if self._running or time.monotonic() - self._last_used < _QUIET:
            return transport.is_active()
        try:
            transport.open_session(timeout=self._timeout).close()
        except (paramiko.SSHException, EOFError, OSError):
            return False
        return True

    def run(
        self, command: str, *, stdin: bytes = b"", root: bool = True, timeout: float = 60
    ) -> CommandResult:
        """Run a shell command, in the C locale.

        A connection on which a command did not end as it should is closed: the host may go on sending.

        Args:
            command: For ``sh -c``.
            stdin: What it reads.
            root: Become root with sudo, where the host's settings say sudo.
            timeout: Seconds that it may take.

        Returns:
            Exit code and output, whatever the exit code is.

        Raises:
            SudoError: sudo did not let the user become root.
            HostError: The connection broke, or the command took too long.
        """
        transport = self._transport
        if transport is None:
            raise HostError(f"{self._place}: the connection is not open")
        sudo = root and self.target.sudo
        self._count(1)
        try:
            channel = transport.open_session(timeout=self._timeout)
            with _closed_afterwards(channel):
                password = self.target.sudo_password
                exchange = Exchange(channel, command, stdin, sudo=sudo, password=password)
                return self._ended(exchange, transport, timeout)
        except TimeoutError as exc:
            self.close()
            raise HostError(
                f"{self._place}: a command did not end within {timeout:g} s",
                hint="The host may be overloaded. Check it, and run the same command again.",
            ) from exc
        except TooMuchError as exc:
            self.close()
            raise HostError(
                f"{self._place}: a command does not stop writing output; the connection was closed",
                hint="Check that it is the right host, and which commands run there at login.",
            ) from exc
        except (paramiko.SSHException, EOFError, OSError) as exc:
            self.close()
            raise self._lost() from exc
        finally:
            self._count(-1)
            self._last_used = time.monotonic()

    def _count(self, change: int) -> None:
        """Count the commands that run: threads may run several at once."""
        with self._counting:
            self._running += change

    def _ended(self, exchange: Exchange, transport: paramiko.Transport, timeout: float) -> CommandResult:
        try:
            result = exchange.run(timeout)
        except SudoRefusedError as exc:
            raise self._sudo_error(exc) from exc
        if result.rc == -1 and not transport.is_active():
            raise self._lost()
        return result

    def _lost(self) -> HostError:
        return HostError(
            f"{self._place}: the connection broke while a command ran",
            hint="Check that the host is up and can be reached, and run the same command again.",
        )

    def _sudo_error(self, refusal: SudoRefusedError) -> SudoError:
        user, said = self.target.user, str(refusal)
        if refusal.password:
            return SudoError(
                f"{self._place}: sudo refused the password of user {user}",
                hint="Correct the password that ssh.sudoPassword in cluster.yaml points to.",
            )
        if "a password is required" in said:
            return SudoError(
                f"{self._place}: sudo asks user {user} for a password, or does not know that user",
                hint="Set ssh.sudoPassword in cluster.yaml, or allow sudo there without one (NOPASSWD).",
            )
        if "not in the sudoers" in said or "not allowed" in said or "may not run" in said:
            return SudoError(
                f"{self._place}: user {user} may not become root with sudo",
                hint=f"Allow it for {user} in /etc/sudoers.d on the host, or set ssh.user to a user who may.",
            )
        if "not found" in said or "No such file" in said:
            return SudoError(
                f"{self._place}: sudo is not installed",
                hint="Install sudo on the host, or set ssh.user to root.",
            )
        return SudoError(
            f"{self._place}: user {user} cannot become root with sudo: {said or 'sudo printed no error'}",
            hint=f"Log in to the host as {user}, and see what sudo -v prints.",
        )


@contextmanager
def _closed_afterwards(channel: paramiko.Channel) -> Iterator[None]:
    """Close the channel at the end. Where the connection is gone by then, what happened before counts."""
    try:
        yield
    finally:
        with suppress(paramiko.SSHException, EOFError, OSError):
            channel.close()

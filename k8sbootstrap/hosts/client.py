"""SSH sessions with hosts: commands as the login user or as root."""

from types import TracebackType
from typing import Self

import paramiko

from k8sbootstrap.errors import HostError, SudoError
from k8sbootstrap.hosts.command import Exchange, Result, SudoRefusedError, TooMuchError
from k8sbootstrap.hosts.endpoint import of_host
from k8sbootstrap.hosts.known_hosts import KnownHosts
from k8sbootstrap.hosts.transport import Route, connect
from k8sbootstrap.plan.models import SSHTarget

__all__ = ["Result", "SSHSession"]


class SSHSession:
    """A connection to one host, open inside a ``with`` block.

    Args:
        target: The host, and how to become root there.
        timeout: Seconds that each step of connecting may take.
    """

    def __init__(self, target: SSHTarget, timeout: float = 10.0) -> None:
        self.target = target
        self._timeout = timeout
        self._place = of_host(target)
        self._route: Route | None = None

    def __enter__(self) -> Self:
        """Connect and log in.

        Raises:
            HostKeyError: A host key is unknown or has changed.
            HostError: The host cannot be reached or refuses the login.
        """
        self._route = connect(self.target, KnownHosts(self.target.known_hosts), self._timeout)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._route is not None:
            self._route.close()
            self._route = None

    def run(self, command: str, *, stdin: bytes = b"", root: bool = True, timeout: float = 60) -> Result:
        """Run a shell command, in the C locale.

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
        if self._route is None:
            raise HostError(f"{self._place}: the connection is not open")
        sudo = root and self.target.sudo
        try:
            channel = self._route.transport.open_session(timeout=self._timeout)
            with channel:
                password = self.target.sudo_password
                return self._ended(Exchange(channel, command, stdin, sudo=sudo, password=password), timeout)
        except TimeoutError as exc:
            raise HostError(
                f"{self._place}: a command did not end within {timeout:g} s",
                hint="The host may be overloaded; look at it and run again.",
            ) from exc
        except TooMuchError as exc:
            raise HostError(
                f"{self._place}: a command writes without end; the connection was closed",
                hint="See what runs there at login, and whether it is the right host.",
            ) from exc
        except (paramiko.SSHException, EOFError, OSError) as exc:
            raise self._lost() from exc

    def _ended(self, exchange: Exchange, timeout: float) -> Result:
        try:
            result = exchange.run(timeout)
        except SudoRefusedError as exc:
            raise self._sudo_error(exc) from exc
        if result.rc == -1 and not (self._route and self._route.transport.is_active()):
            raise self._lost()
        return result

    def _lost(self) -> HostError:
        return HostError(
            f"{self._place}: the connection broke while a command ran",
            hint="Check that the host is up and reachable, and run again.",
        )

    def _sudo_error(self, refusal: SudoRefusedError) -> SudoError:
        user, said = self.target.user, str(refusal)
        if refusal.password:
            return SudoError(
                f"{self._place}: sudo refused the password of user {user}",
                hint="Correct what ssh.sudoPassword in cluster.yaml points to.",
            )
        if "a password is required" in said:
            return SudoError(
                f"{self._place}: sudo asks user {user} for a password, or does not know that user",
                hint="Set ssh.sudoPassword in cluster.yaml, or allow sudo there without one (NOPASSWD).",
            )
        if "not in the sudoers" in said or "not allowed" in said or "may not run" in said:
            return SudoError(
                f"{self._place}: user {user} may not become root with sudo",
                hint=f"Give {user} the right in /etc/sudoers.d there, or set ssh.user to one who has it.",
            )
        if "not found" in said or "No such file" in said:
            return SudoError(
                f"{self._place}: sudo is not installed",
                hint="Install sudo on the host, or set ssh.user to root.",
            )
        return SudoError(
            f"{self._place}: user {user} cannot become root with sudo: {said or 'it said nothing'}",
            hint=f"Log in as {user} and see what sudo -v says.",
        )

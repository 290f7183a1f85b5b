"""One command over one channel: sudo gets its password, the command its input, all output is collected."""

import secrets
import select
import shlex
import time
from dataclasses import dataclass

import paramiko

MAX_OUT = 32 << 20
"""Bytes of standard output that a command may write; a list of all nodes of a large cluster has a tenth."""
MAX_ERR = 8 << 20
"""The same for standard error."""
_CHUNK = 32768
_BUSY_WAIT = 0.02
"""Seconds to wait for room to send."""
_IDLE_WAIT = 1.0


@dataclass(frozen=True)
class CommandResult:
    """How a command ended."""

    rc: int
    """Exit code; -1 when a signal ended it."""
    stdout: str
    stderr: str


class TooMuchError(Exception):
    """The command writes more than any that is meant to run."""


class SudoRefusedError(Exception):
    """Sudo did not run the command; the text is what it said."""

    def __init__(self, said: str, *, password: bool) -> None:
        super().__init__(said)
        self.password = password
        """Whether it was the password that it did not take."""


class Exchange:
    """A command being run.

    Args:
        channel: A fresh session channel.
        command: For the shell.
        stdin: What the command reads.
        sudo: Whether to become root with sudo.
        password: For sudo, where it asks.
    """

    def __init__(
        self,
        channel: paramiko.Channel,
        command: str,
        stdin: bytes,
        *,
        sudo: bool,
        password: str | None,
    ) -> None:
        self._channel = channel
        self._unsent = memoryview(stdin)  # slices are no copies: it may be a whole program
        self._finished_sending = False
        self._out = bytearray()
        self._err = bytearray()
        self._password = password
        self._password_sent = False
        token = secrets.token_hex(8)
        self._prompt = f"password-{token}:".encode()
        self._mark = f"started-{token}\n".encode()
        self._sudo = sudo
        self._started = not sudo
        self._may_ask = sudo and password is not None
        if sudo:
            # What sudo itself says ends at the mark. Where it may ask for a password, nothing is sent before
            # it is known who reads it; else nobody but the command does, and a round trip is saved.
            ask = f"-S -p {self._prompt.decode()}" if password is not None else "-n"
            shell = f"sudo {ask} -- sh"
        else:
            shell = "sh"
        # what a login shell prints before, such as a greeting, ends at the mark as well
        mark = self._mark.decode().strip()
        inner = f"echo {mark}; echo {mark} >&2\n{command}"
        self._line = f"env LC_ALL=C {shell} -c {shlex.quote(inner)}"

    def run(self, timeout: float) -> CommandResult:
        """Run it to its end.

        Args:
            timeout: Seconds that it may take.

        Raises:
            TimeoutError: It took longer.
            SudoRefusedError: sudo did not run it.
            TooMuchError: It writes without end.
            paramiko.SSHException, EOFError, OSError: The connection broke.
        """
        deadline = time.monotonic() + timeout
        channel = self._channel
        channel.settimeout(timeout)
        channel.exec_command(self._line)
        poll = select.poll()
        poll.register(channel.fileno(), select.POLLIN)
        while not self._at_end():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if self._receive() or self._send():
                continue
            waiting_to_send = self._may_send() and not self._finished_sending
            poll.poll(1000 * min(left, _BUSY_WAIT if waiting_to_send else _IDLE_WAIT))
        channel.status_event.wait(max(0.0, deadline - time.monotonic()))
        return self._result(channel.exit_status)

    def _at_end(self) -> bool:
        channel = self._channel
        ended = bool(channel.eof_received or channel.closed)
        return ended and not channel.recv_ready() and not channel.recv_stderr_ready()

    def _receive(self) -> bool:
        received = False
        if self._channel.recv_ready():
            self._out += self._channel.recv(_CHUNK)
            received = True
        if self._channel.recv_stderr_ready():
            self._err += self._channel.recv_stderr(_CHUNK)
            received = True
        if len(self._out) > MAX_OUT or len(self._err) > MAX_ERR:
            raise TooMuchError
        if not self._started:
            self._listen_to_sudo()
        return received

    def _listen_to_sudo(self) -> None:
        before, mark, after = bytes(self._err).partition(self._mark)
        if mark:
            self._started = True
            self._err = bytearray(after)
        elif before.count(self._prompt) > int(self._password_sent):
            if self._password_sent:
                raise SudoRefusedError("it asked for the password again", password=True)
            self._channel.sendall(f"{self._password}\n".encode())
            self._password_sent = True

    def _may_send(self) -> bool:
        return self._started or not self._may_ask

    def _send(self) -> bool:
        if not self._may_send() or self._finished_sending:
            return False
        try:
            if not self._unsent:
                self._channel.shutdown_write()
                self._finished_sending = True
            elif self._channel.send_ready():
                sent = self._channel.send(bytes(self._unsent[:_CHUNK]))
                self._unsent = self._unsent[sent:]
            else:
                return False
        except OSError:  # the command closed its input: that is its business
            self._finished_sending = True
        return True

    def _result(self, rc: int) -> CommandResult:
        if not self._started:
            said = bytes(self._err).replace(self._prompt, b"").decode(errors="replace").strip()
            wrong = self._password_sent and "incorrect password" in said
            raise SudoRefusedError(said, password=wrong)
        out, err = bytes(self._out), bytes(self._err)
        _, mark, after = out.partition(self._mark)
        if not self._sudo:
            err = err.partition(self._mark)[2] if self._mark in err else err
        return CommandResult(
            rc, (after if mark else out).decode(errors="replace"), err.decode(errors="replace")
        )

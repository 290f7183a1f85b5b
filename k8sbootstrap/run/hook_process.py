"""One command of the user as a child process: its input, its output, and how it is stopped."""

import errno
import os
import select
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from k8sbootstrap.run.failure import REASON_LINES
from k8sbootstrap.run.interrupts import interrupts_held
from k8sbootstrap.run.processes import stop

STOP_SECONDS = 5.0
"""How long a command may take to stop before it is killed."""
_TICK = 0.05
"""Seconds between two looks whether a command has ended while a child of it holds its output open."""
_MAX_LINE = 65536
"""Bytes after which a line is cut, though its end has not come yet."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    rc: int | None
    """Its exit code, negative when a signal killed it; None when it never began."""
    failure: str = ""
    """What is wrong with that, in words; empty when nothing is."""
    stderr: tuple[str, ...] = ()
    """The last lines of its standard error."""


def run_command(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdin: str,
    timeout: float,
    on_line: Callable[[str], None],
) -> Ended:
    """Run a command until its own process ends; what that leaves in the background may go on.

    Args:
        command: Program and arguments.
        folder: Its working directory.
        environment: All of its environment.
        stdin: What it can read from its standard input.
        timeout: Seconds that it may take; then it is stopped with all that it started.
        on_line: Called with every line of its standard output and error as it comes.

    Raises:
        BaseException: What a signal handler or ``on_line`` raised, KeyboardInterrupt among them. The command
            and all that it started have been stopped by then.
    """
    with tempfile.TemporaryFile() as given, interrupts_held() as release:
        given.write(stdin.encode())  # not through a pipe: a command may leave it unread
        given.seek(0)
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as exc:
            return Ended(None, _not_begun(command[0], exc))
        with process:
            output = _Output(process, on_line)
            try:
                release()
                output.follow(time.monotonic() + timeout)
                failure = _how(process.returncode)
            except TimeoutError:
                stop(process, signal.SIGTERM, STOP_SECONDS)
                failure = f"was stopped because it took longer than {timeout:g} s"
            except BaseException:
                stop(process, signal.SIGTERM, STOP_SECONDS)
                raise
    return Ended(process.returncode, failure, tuple(output.stderr) if failure else ())


class _Output:
    """The output of a process, line by line."""

    def __init__(self, process: subprocess.Popen[bytes], on_line: Callable[[str], None]) -> None:
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        self._process = process
        self._on_line = on_line
        self._open: dict[IO[bytes], bytes] = {process.stdout: b"", process.stderr: b""}
        """Streams that have not ended, with the beginning of a line that has not."""
        self.stderr: deque[str] = deque(maxlen=REASON_LINES)

    def follow(self, deadline: float) -> None:
        """Read until the process has ended.

        Raises:
            TimeoutError: It had not by ``deadline``.
        """
        while True:
            left = deadline - time.monotonic()
            ended = self._process.poll() is not None
            if left <= 0 and not ended:
                raise TimeoutError
            # what it wrote can be read once it has ended; its children may hold the pipes open for longer
            ready = select.select(list(self._open), [], [], 0 if ended else min(left, _TICK))[0]
            for stream in ready:
                self._read(stream)
            if ended and (not ready or left <= 0):
                break
        for stream, rest in self._open.items():
            self._take(stream, [rest] if rest else [])

    def _read(self, stream: IO[bytes]) -> None:
        chunk = os.read(stream.fileno(), _MAX_LINE)
        *lines, rest = (self._open.pop(stream) + chunk).split(b"\n")
        if rest and (not chunk or len(rest) > _MAX_LINE):
            lines, rest = [*lines, rest], b""
        if chunk:
            self._open[stream] = rest
        self._take(stream, lines)

    def _take(self, stream: IO[bytes], lines: Iterable[bytes]) -> None:
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            self._on_line(text)
            if stream is self._process.stderr:
                self.stderr.append(text)


def _how(code: int) -> str:
    """What is wrong with an exit code, in words."""
    if code < 0:
        return f"was killed by signal {-code}"
    return f"ended with code {code}" if code else ""


def _not_begun(program: str, exc: OSError) -> str:
    """Why a program could not be started."""
    reason = exc.strerror or type(exc).__name__
    if isinstance(exc, FileNotFoundError):
        where = "the interpreter in its first line does not exist" if "/" in program else "it is not in PATH"
        reason = where if "/" not in program or Path(program).exists() else reason
    elif exc.errno == errno.ENOEXEC:
        reason += " (the first line of a script names its interpreter, such as #!/bin/sh)"
    return f"could not be started: {reason}"

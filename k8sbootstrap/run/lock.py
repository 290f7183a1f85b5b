"""One command at a time changes a cluster: a lock in its state directory that names its holder."""

import fcntl
import getpass
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from k8sbootstrap.errors import LockedError

_READ_ATTEMPTS = 10
_READ_PAUSE = 0.05
"""Seconds between attempts to read who holds the lock: a holder writes its name just after taking it."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    pid: int
    machine: str
    user: str
    command: str
    since: str
    """UTC, ISO 8601."""

    @classmethod
    def this_process(cls, command: str) -> "Holder":
        """The calling process, about to run ``command``."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), getpass.getuser(), command, since)

    def __str__(self) -> str:
        return f'"{self.command}" of {self.user} on {self.machine} (process {self.pid}, since {self.since})'


@contextmanager
def hold(path: Path, command: str) -> Iterator[None]:
    """Hold the lock at ``path`` for the ``with`` block.

    The kernel releases it when the process ends, however it ends, so a dead holder's lock is free. Programs
    started inside the block do not inherit it.

    Args:
        path: The lock file; its directory exists.
        command: What the holder runs, for others to read.

    Raises:
        LockedError: Another process holds it.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _locked(path, _read_holder(path)) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(asdict(Holder.this_process(command))).encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def _read_holder(path: Path) -> Holder | None:
    for _ in range(_READ_ATTEMPTS):
        try:
            return Holder(**json.loads(path.read_text()))
        except (ValueError, TypeError):
            time.sleep(_READ_PAUSE)
    return None


def _locked(path: Path, holder: Holder | None) -> LockedError:
    if holder is None:
        return LockedError(
            f"another k8sbootstrap command is changing this cluster (it has locked {path})",
            hint="Wait until it has ended, then run the same command again.",
        )
    return LockedError(
        f"another command is changing this cluster: {holder}",
        hint=f"Wait until it has ended, or stop it with: kill {holder.pid}",
    )

"""Files that were sent to this host.

They arrive in a folder of a new name in /var/tmp, where every user of the host may make folders and files. So
a file counts only if root or the user who logged in owns it, and its content is hashed while it is copied to
where nobody else can write.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

PLACE = "/var/tmp"  # noqa: S108 - as the module says, nothing there is believed
PREFIX = "k8sbootstrap-tmp-"
"""What names of the folders begin with; ``actions/presend.py`` and the action ``own_module`` make them."""
ARRIVING = ".k8sbootstrap-new"
"""Ending of a file that is not whole yet, beside where it belongs."""
PART = ".part"
"""Ending of a file that is being sent ahead."""
_STALLED = 3.0
"""Seconds without a new byte after which a file that is being sent ahead is given up."""
_BLOCK = 1 << 20


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """A file that was sent, open for reading.

    Raises:
        OSError: It is missing, or a symbolic link.
        ValueError: It is no plain file, or belongs to somebody who can't have sent it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(descriptor)
    wrong = ""
    if not stat.S_ISREG(found.st_mode):
        wrong = "is not a regular file"
    elif found.st_uid not in _senders():
        wrong = f"belongs to the user with the id {found.st_uid}, who did not send it"
    if wrong:
        os.close(descriptor)
        raise ValueError(f"{path} {wrong}. Find out who made it, remove it and run the same command again")
    with os.fdopen(descriptor, "rb") as handle:
        yield handle


def sha256_of(handle: IO[bytes], out: IO[bytes] | None = None) -> str:
    """sha256 of the rest of an open file, which is copied to ``out`` on the way if that is given."""
    digest = hashlib.sha256()
    for block in iter(lambda: handle.read(_BLOCK), b""):
        digest.update(block)
        if out:
            out.write(block)
    return digest.hexdigest()


def place(source: str, dest: str, digest: str, mode: int, owned: tuple[int, int]) -> None:
    """Bring a file that was sent to its place; what is hashed is what is written there.

    Args:
        source: Where it arrived; it is gone afterwards, the next one may need its space.
        dest: Its place; a file that is there is replaced in one step.
        digest: The sha256 that it must have.
        mode: Its mode.
        owned: User and group, as numbers.

    Raises:
        OSError: It can't be read or written.
        ValueError: It is another file than was sent. What was at ``dest`` is untouched.
    """
    temporary = dest + ARRIVING
    if os.path.lexists(temporary):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            with opened(source) as handle:
                found = sha256_of(handle, out)
            out.flush()
            os.fchown(descriptor, *owned)
            os.fchmod(descriptor, mode)
        if found == digest:
            os.replace(temporary, dest)
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)
    if found != digest:
        raise ValueError(f"{dest} arrived with the wrong content: sha256 {found} instead of {digest}")
    os.unlink(source)


def arrived(folder: str, name: str) -> str | None:
    """The path of a file that was sent ahead; None when it was not, or does not get on."""
    path = os.path.join(folder, name)
    size, deadline = -1, 0.0
    while folder and not os.path.lexists(path):
        try:
            if not _is_ours(os.lstat(folder)):
                return None
            now = os.lstat(path + PART).st_size
        except OSError:
            return path if os.path.lexists(path) else None
        if now > size:
            size, deadline = now, time.monotonic() + _STALLED
        elif time.monotonic() > deadline:
            return None
        time.sleep(0.1)
    return path if folder and _is_ours(os.lstat(folder)) else None


def leftovers() -> list[str]:
    """Folders that runs have left here whose connection was lost at the wrong moment."""
    try:
        names = [name for name in sorted(os.listdir(PLACE)) if name.startswith(PREFIX)]
    except OSError:
        return []
    paths = [os.path.join(PLACE, name) for name in names]
    return [path for path in paths if _is_ours(os.lstat(path))]


def _is_ours(found: os.stat_result) -> bool:
    """Whether it is a folder that only root and the user who logged in can change."""
    return stat.S_ISDIR(found.st_mode) and found.st_uid in _senders() and not found.st_mode & 0o022


def _senders() -> set[int]:
    """Who files can come from: root, and the user who became root for this."""
    login = os.environ.get("SUDO_UID", "")
    return {0, os.geteuid(), *([int(login)] if login.isdecimal() else [])}

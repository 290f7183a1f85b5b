"""Folders and files of the controller that nobody but this user and root can change."""

import os
import pwd
import stat
from io import BufferedRandom
from pathlib import Path

from k8sbootstrap.errors import ArtifactError

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def require_private(folder: Path) -> None:
    """See that nobody else can put files into a folder. One that is not there yet is fine.

    Raises:
        ArtifactError: It belongs to another user, or others can write to it.
    """
    try:
        found = folder.stat()
    except OSError:
        return
    if not stat.S_ISDIR(found.st_mode):
        return
    other = "Or set K8SBOOTSTRAP_CACHE to another directory."
    if found.st_uid not in _trusted():
        raise ArtifactError(
            f"the cache {folder} belongs to {_name(found.st_uid)},"
            " who could change what is installed on hosts",
            hint=f"Find out who made it, remove it, and run the same command again. {other}",
        )
    if found.st_mode & _OTHERS:
        raise ArtifactError(
            f"other users can write to the cache {folder} (mode {stat.S_IMODE(found.st_mode):04o}):"
            " they could change what is installed on hosts",
            hint=f"Remove it, or, if you trust what is in it, run chmod go-w {folder}. {other}",
        )


def others_can_write(folder: Path) -> bool:
    """Whether others than this user and root can put files into a folder, or another folder in its place."""
    place = Path(os.path.realpath(folder))
    for each in (place, *place.parents):
        found = each.stat()
        sticky = each != place and found.st_mode & stat.S_ISVTX
        if found.st_uid not in _trusted() or (found.st_mode & _OTHERS and not sticky):
            return True
    return False


def open_private(path: Path) -> BufferedRandom:
    """Open a file of a private folder to append to it; one that is there and no such file is replaced.

    Raises:
        OSError: It can't be opened.
    """
    try:
        return _opened(path, os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        found = path.lstat()
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == os.geteuid():
        return _opened(path, os.O_NOFOLLOW)
    path.unlink()
    return _opened(path, os.O_CREAT | os.O_EXCL)


def _opened(path: Path, how: int) -> BufferedRandom:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | how, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "a+b")


def _trusted() -> set[int]:
    """This user and root; where root was reached with sudo, who used it."""
    trusted = {0, os.geteuid()}
    by = os.environ.get("SUDO_UID", "")
    return trusted | ({int(by)} if os.geteuid() == 0 and by.isascii() and by.isdigit() else set())


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"

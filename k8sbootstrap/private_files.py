"""Reads and writes secret files. They are private from the first byte, and replaced in one step."""

import os
import tempfile
from pathlib import Path

from k8sbootstrap.errors import StateError

PRIVATE = 0o600
PUBLIC = 0o644
_DIRECTORY = 0o700


def read(path: Path) -> bytes | None:
    """The file's content, or None when there is no such file.

    Raises:
        StateError: The file is there but cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StateError(
            f"{path} cannot be read: {exc.strerror}",
            hint="Run the command as the user who owns the state directory, or correct the permissions of "
            "the file.",
        ) from exc


def write(path: Path, content: bytes, mode: int, *, root: Path) -> None:
    """Give the file this content and mode. A file that has them is not touched.

    Args:
        path: The file.
        content: What it should hold.
        mode: Its permission bits.
        root: Folder above which none is made; missing folders from here down get mode 0700.

    Raises:
        StateError: The file cannot be written.
    """
    try:
        if read(path) == content:
            if path.stat().st_mode & 0o777 != mode:
                path.chmod(mode)
            return
        _make_private(path.parent, root)
        replace(path, content, mode)
    except OSError as exc:
        raise StateError(
            f"{path} cannot be written: {exc.strerror}",
            hint="Free some disk space or make the directory writable, and run the same command again.",
        ) from exc


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        StateError: It can't be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        raise StateError(
            f"{path} cannot be removed: {exc.strerror}",
            hint="Correct the permissions of its directory, and run the same command again.",
        ) from exc


def _make_private(folder: Path, root: Path) -> None:
    if not folder.is_dir():
        if folder != root:
            _make_private(folder.parent, root)
        folder.mkdir(mode=_DIRECTORY, exist_ok=True)


def replace(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Write a file in one step: a reader sees all of the old content or all of the new.

    Args:
        path: The file; its folder is there already.
        content: What it should hold.
        mode: Its permission bits.

    Raises:
        OSError: It cannot be written; what was there stays as it was.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
            os.fchmod(out.fileno(), mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

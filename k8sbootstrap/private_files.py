"""Reading and writing secret files: private from the first byte, replaced in one step, never half there."""

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
            hint="Run as the user who owns the state directory, or correct the file's permissions.",
        ) from exc


def settle(path: Path, content: bytes, mode: int, *, root: Path) -> bool:
    """Make the file have this content and mode; a file that has them is not touched.

    Args:
        path: The file.
        content: What it should hold.
        mode: Its permission bits.
        root: Folder above which nothing is made; missing folders from here down become 0700.

    Returns:
        Whether the content changed.

    Raises:
        StateError: The file cannot be written.
    """
    try:
        if read(path) == content:
            if path.stat().st_mode & 0o777 != mode:
                path.chmod(mode)
            return False
        _make_private(path.parent, root)
        _replace(path, content, mode)
    except OSError as exc:
        raise StateError(
            f"{path} cannot be written: {exc.strerror}",
            hint="Make room for it, or make its folder writable, and run again.",
        ) from exc
    return True


def _make_private(folder: Path, root: Path) -> None:
    if not folder.is_dir():
        if folder != root:
            _make_private(folder.parent, root)
        folder.mkdir(mode=_DIRECTORY, exist_ok=True)


def _replace(path: Path, content: bytes, mode: int) -> None:
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
        temporary.unlink()
        raise

"""Folders of a host: what they were like before, and how they are emptied without going into mounts."""

from __future__ import annotations

import ctypes
import os
import re
import stat
from collections.abc import Callable, Iterator

from ansible.module_utils.k8sbootstrap.host.record import Data, Found

_LOST_AND_FOUND = "lost+found"
"""A file system's own, on a disk of its own."""
_LAZY, _NO_FOLLOW = 2, 8
"""MNT_DETACH and UMOUNT_NOFOLLOW of umount2(2)."""
_FOLDERS = 1000
"""More than these in a folder are taken for contents."""
_HOLDERS = 3


class TreeError(Exception):
    """A folder can't be emptied; the text names it, and what is in the way."""


def as_found(path: str, data: bool) -> dict[str, Found]:
    """What a folder is like that was there before k8sbootstrap.

    Args:
        path: The folder.
        data: Programs of the cluster will write into it: what is new there when the host is reset goes. In
            another one only files that are in the record go.

    Returns:
        Path to ``mode``, ``uid``, ``gid`` and ``entries`` (names that were there; None without ``data``), of
        the folder and, where it holds no file at all, of all folders in it.
    """
    folders = [path]
    if data:
        below = [folder for folder, _, files in _walk(path)]
        folders = below if below and not _has_files(path) else [path]
    return {folder: _entry(folder, data) for folder in folders}


def made_by_us(path: str, record: Data) -> bool:
    """Whether a folder is one of ours, or in one that was not there before; or is known as it was found.

    Args:
        path: The folder.
        record: The data of the host's record.
    """
    parts = record["components"].values()
    ours = {folder for part in parts for folder in part.get("directories", [])}
    ours -= {folder for part in parts for folder in part.get("parents", [])}
    return path in record["found"] or any(
        path == folder or path.startswith(f"{folder}/") for folder in {*ours, *record["residue"]}
    )


def _entry(path: str, data: bool) -> Found:
    now = os.stat(path)
    return {
        "mode": f"{stat.S_IMODE(now.st_mode):04o}",
        "uid": now.st_uid,
        "gid": now.st_gid,
        "entries": sorted(os.listdir(path)) if data else None,
    }


def _walk(path: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """os.walk, up to a bound, without what belongs to a file system itself."""
    for count, (folder, folders, files) in enumerate(os.walk(path)):
        if _LOST_AND_FOUND in folders:
            folders.remove(_LOST_AND_FOUND)
        if count > _FOLDERS:
            return
        yield folder, folders, files


def _has_files(path: str) -> bool:
    count = 0
    for folder, folders, files in _walk(path):
        count += 1
        if files or any(os.path.islink(os.path.join(folder, name)) for name in folders):
            return True
    return count > _FOLDERS


# what is mounted


def mount_points() -> list[str]:
    """Where something is mounted; a place has as many entries as there are mounts on it."""
    with open("/proc/self/mountinfo", "rb") as handle:
        fields = [line.split()[4] for line in handle]
    return [
        os.fsdecode(re.sub(rb"\\(\d{3})", lambda code: bytes([int(code[1], 8)]), field)) for field in fields
    ]


def below(path: str, points: list[str]) -> list[str]:
    """Those mount points that are in a folder; the folder itself is none."""
    return [point for point in points if point.startswith(path.rstrip("/") + "/")]


def unmount(points: list[str]) -> None:
    """Unmount these, the innermost first.

    Raises:
        TreeError: One is still mounted afterwards.
    """
    umount2 = ctypes.CDLL(None, use_errno=True).umount2
    for point in sorted(points, reverse=True):
        ctypes.set_errno(0)
        if umount2(os.fsencode(point), _LAZY | _NO_FOLLOW) != 0 and point in mount_points():
            why = os.strerror(ctypes.get_errno())
            raise TreeError(f"{point} can't be unmounted ({why}), so nothing is deleted there{_held(point)}")
    left = set(points) & set(mount_points())
    if left:
        point = min(left)
        raise TreeError(f"{point} is still mounted, so nothing is deleted there{_held(point)}")


def _held(point: str) -> str:
    """Who uses what is mounted, as the end of a sentence."""
    users = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        links = [f"/proc/{pid}/cwd", f"/proc/{pid}/root"]
        try:
            links += [f"/proc/{pid}/fd/{name}" for name in os.listdir(f"/proc/{pid}/fd")]
            if any((os.readlink(link) + "/").startswith(point + "/") for link in links):
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as handle:
                    users.append(f"{handle.read().strip()} (process {pid})")
        except OSError:
            continue  # it has ended
    return f"; it is used by {', '.join(users[:_HOLDERS])}" if users else ""


# emptying


def remove(path: str) -> None:
    """Remove a file, or a folder with all that is in it.

    Raises:
        TreeError: Something is mounted in there, or would not go.
    """
    try:
        parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        _remove(parent, os.path.basename(path), path)
    except OSError as error:
        raise TreeError(f"{error.filename or path} can't be removed: {error.strerror}") from error
    finally:
        os.close(parent)


def empty(path: str, keep: tuple[str, ...] = ()) -> None:
    """Remove what is in a folder but for some names, and what belongs to its file system.

    Raises:
        TreeError: Something is mounted in there, or would not go.
    """
    for name in sorted(os.listdir(path)):
        if name not in keep and name != _LOST_AND_FOUND:
            remove(os.path.join(path, name))


def _remove(parent: int, name: str, path: str) -> None:
    try:
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        return
    except OSError:  # a file, or a symbolic link
        _unlink(os.unlink, parent, name, path)
        return
    try:
        if _mount(folder) != _mount(parent):
            raise TreeError(f"{path} is mounted, so nothing is deleted there{_held(path)}")
        for child in os.listdir(folder):
            _remove(folder, child, os.path.join(path, child))
    finally:
        os.close(folder)
    _unlink(os.rmdir, parent, name, path)


def _unlink(call: Callable[..., None], parent: int, name: str, path: str) -> None:
    try:
        call(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise TreeError(f"{path} can't be removed: {error.strerror}") from error


def _mount(folder: int) -> str:
    """Which mount an open folder is on: bind mounts of one disk have the same device."""
    with open(f"/proc/self/fdinfo/{folder}", encoding="ascii") as handle:
        return next(line for line in handle if line.startswith("mnt_id:"))

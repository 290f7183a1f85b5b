"""Files that were on a host before: kept, merged with ours, or refused; never silently replaced."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess

from ansible.module_utils.k8sbootstrap.host.merge import MergeError, docker_problems, merge, settings_of
from ansible.module_utils.k8sbootstrap.host.record import FileEntry, FileNotes
from ansible.module_utils.k8sbootstrap.host.request import File
from ansible.module_utils.k8sbootstrap.images.docker import look

_MARK = b"k8sbootstrap"
_HEAD = 200
"""Bytes in which a file says who manages it."""
_LARGEST = 1 << 20


class ForeignFileError(ValueError):
    """Somebody else's file is where one of ours belongs."""


def content_of(wanted: File, known: FileEntry | None, originals: str) -> tuple[bytes | None, FileNotes]:
    """What a file of ours is to hold on this host.

    Args:
        wanted: The file.
        known: Its entry in the record; None where we did not write it yet.
        originals: Folder with copies of the files that ours are in place of.

    Returns:
        The content, None where somebody else's file stays; and what the record's entry has to hold of it.

    Raises:
        ForeignFileError: Somebody else's is there.
        MergeError: It holds what does not go together with ours.
    """
    dest, ours = wanted["dest"], base64.b64decode(wanted["content"])
    foreign = not known and not wanted.get("replace") and is_foreign(dest, ours)
    if wanted.get("merge"):
        original = known["original"] if known and known.get("theirs") else None
        theirs = os.path.join(originals, original) if original else ""
        return _merged(wanted, ours, known, foreign, theirs)
    if foreign and wanted.get("keep"):
        return None, {}
    if foreign:
        raise ForeignFileError(
            f"{dest} already exists. Its content is not from k8sbootstrap or from its package. "
            "It was not changed. Move it away, or use another host"
        )
    return ours, {}


def _merged(
    wanted: File, ours: bytes, known: FileEntry | None, foreign: bool, theirs: str
) -> tuple[bytes, FileNotes]:
    kind, dest = wanted["merge"], wanted["dest"]
    notes: FileNotes = {"theirs": bool(theirs) or foreign, "settings": settings_of(kind, ours)}
    if not known:
        if kind == "docker":
            problems = docker_problems(*look(), ours)
            if problems:
                raise MergeError("; ".join(problems))
        return (merge(kind, dest, ours, _read(dest), first=True) if foreign else ours), notes
    if theirs:
        ours = merge(kind, dest, ours, _read(theirs), first=True)
    dropped = tuple(known.get("settings", ()))
    return merge(kind, dest, ours, _read(dest), first=False, dropped=dropped), notes


def is_foreign(path: str, ours: bytes) -> bool:
    """Whether somebody else wrote a file: not we, and it is not as a package of the host brings it."""
    if _MARK.decode() in path or not os.path.lexists(path):
        return False
    content = _read(path)
    return content != ours and _MARK not in content[:_HEAD] and not is_stock(path)


def is_stock(path: str) -> bool:
    """Whether a file is of a package, and as the package brings it."""
    if shutil.which("dpkg-query"):
        owner = _said("dpkg-query", "-S", path).partition(":")[0]
        lines = _said("dpkg-query", "-W", "-f", "${Conffiles}\n", owner).splitlines() if owner else []
        wanted = [line.split()[1] for line in lines if line.split()[:1] == [path]]
        digest = hashlib.md5(_read(path), usedforsecurity=False).hexdigest()
        return wanted == [digest]
    return bool(_said("rpm", "-qf", path)) and not [
        line for line in _said("rpm", "-Vf", path, any_code=True).splitlines() if line.split()[-1:] == [path]
    ]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as handle:
            return handle.read(_LARGEST)
    except OSError:
        return b""


def _said(*command: str, any_code: bool = False) -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout if any_code or done.returncode == 0 else ""

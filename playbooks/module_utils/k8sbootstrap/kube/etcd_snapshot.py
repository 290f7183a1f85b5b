"""Takes snapshots of etcd on a host of etcd: checks them, compresses them, and keeps the last few.

The controller sends this file as a program, with a JSON document as its one argument (see ``main``). It
imports nothing but the standard library of Python 3.9 and later.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BIN = "/usr/local/bin/"
PKI = "/etc/etcd/pki/"
ETCDCTL = [
    BIN + "etcdctl",
    f"--cacert={PKI}ca.crt",
    f"--cert={PKI}healthcheck-client.crt",
    f"--key={PKI}healthcheck-client.key",
]
ETCDUTL = [BIN + "etcdutl"]
FOLDER = Path("/var/lib/k8sbootstrap/etcd-snapshots")
"""Where the timer's snapshots are kept."""
HASH = 32
"""Bytes at the end of a snapshot: the sha256 of all before it, as the member that sent it reckoned."""
_BLOCK = 1 << 20
_WORTHWHILE = 0.8
"""A snapshot is kept compressed if that makes it smaller than this part of it."""
_DAY = 86400.0
_NAME = re.compile(r"(\d{8}T\d{6}Z)-([a-z]+)([\w.-]*)\.db(\.gz)?")


class SnapshotError(Exception):
    """There is no snapshot, or it can't be used; the text says why."""


def take(folder: Path, label: str, keep: int, days: float = 0, port: int = 2379) -> dict[str, Any]:
    """Take a snapshot; on any failure nothing of it stays.

    Args:
        folder: Where it is kept, with its sha256 beside it.
        label: What its name says after the time; the first word is its kind.
        keep: How many of this kind stay.
        days: How long those of this kind stay, but for the newest; 0 where that does not count.
        port: Of the member, at 127.0.0.1.

    Raises:
        SnapshotError: It could not be taken, or is damaged.
        OSError: The disk is full, or the folder can't be used.
    """
    os.umask(0o077)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        plain, packed = folder / ".partial", folder / ".partial.gz"
        _remove(plain, packed)
        try:
            run([*ETCDCTL, f"--endpoints=https://127.0.0.1:{port}", "snapshot", "save", str(plain)])
            if not whole(plain):
                raise SnapshotError(f"the snapshot of {plain.stat().st_size} bytes is damaged: wrong hash")
            about = status(plain)
            name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{label}.db"
            if compress(plain, packed):
                kept, path = packed, folder / f"{name}.gz"
            else:
                kept, path = plain, folder / name
            digest = sha256(kept)
            (folder / f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")
            kept.chmod(0o600)
            kept.replace(path)
        finally:
            _remove(plain, packed)
        prune(folder, label, keep, days)
    return {"path": str(path), "bytes": path.stat().st_size, "sha256": digest, **about}


def turn(folder: Path, seconds: int, keep: int, days: float) -> dict[str, Any]:
    """Take a snapshot if it is this member's turn.

    It is called at the same moment on all hosts of etcd. They agree without talking to each other: of the
    healthy members that don't lead each takes its turn, so that snapshots are on several hosts.

    Args:
        folder: Where it is kept.
        seconds: Between two turns.
        keep: How many stay.
        days: How long they stay, but for the newest.

    Raises:
        SnapshotError: No member is healthy, or it could not be taken.
    """
    here = _etcdctl("endpoint", "status")[0]["Status"]["header"]["member_id"]
    healthy = [each["endpoint"] for each in _etcdctl("endpoint", "health", "--cluster") if each["health"]]
    members = [
        each["Status"]
        for each in _etcdctl("endpoint", "status", "--cluster")
        if each["Endpoint"] in healthy and not each["Status"].get("isLearner")
    ]
    if not members:
        raise SnapshotError("no member of etcd is healthy")
    ids = sorted(each["header"]["member_id"] for each in members)
    others = [each for each in ids if each != members[0]["leader"]] or ids
    if others[int(time.time() + seconds / 2) // seconds % len(others)] != here:
        return {"taken": False}
    return take(folder, "timer", keep, days)


def _etcdctl(*arguments: str) -> list[dict[str, Any]]:
    """What etcdctl says; of members that don't answer nothing.

    Raises:
        SnapshotError: It says nothing.
    """
    command = [*ETCDCTL, "--endpoints=https://127.0.0.1:2379", "--write-out=json", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError:
        found = []
    if not found:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise SnapshotError(f"etcdctl {' '.join(arguments)} failed: {said}")
    return found


def whole(path: Path) -> bool:
    """Whether a snapshot is as its member sent it: what ``etcdutl snapshot restore`` looks at too."""
    left = path.stat().st_size - HASH
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while left > 0:
            block = file.read(min(left, _BLOCK))
            digest.update(block)
            left -= len(block)
            if not block:
                return False
        return left == 0 and file.read() == digest.digest()


def status(path: Path) -> dict[str, int]:
    """What etcdutl says about a snapshot: ``revision``, and ``keys`` with those of older revisions.

    Both are 0 where there is no etcdutl: a host that an older version of this program installed.

    Raises:
        SnapshotError: It is no database of etcd, or damaged.
    """
    if not os.path.exists(ETCDUTL[0]):
        return {"revision": 0, "keys": 0}
    said = run([*ETCDUTL, "snapshot", "status", str(path), "--write-out=json"])
    try:
        about = json.loads(said)
        return {"revision": int(about["revision"]), "keys": int(about["totalKey"])}
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"etcdutl snapshot status printed {said[:200]!r}") from error


def compress(source: Path, target: Path) -> bool:
    """Compress a file, and say whether that is worthwhile."""
    with source.open("rb") as reading, target.open("wb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0, filename="") as writing:
            shutil.copyfileobj(reading, writing, _BLOCK)
        file.flush()
        os.fsync(file.fileno())
    return target.stat().st_size < _WORTHWHILE * source.stat().st_size


def sha256(path: Path) -> str:
    """The sha256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def prune(folder: Path, label: str, keep: int, days: float) -> None:
    """Remove old snapshots of one kind, and what was left beside snapshots that are gone."""
    kind = label.partition("-")[0]
    found = {path: _NAME.fullmatch(path.name) for path in folder.iterdir()}
    same = [path for path, match in found.items() if match and match[2] == kind]
    newest_first = sorted(same, key=lambda path: path.stat().st_mtime, reverse=True)
    too_old = time.time() - days * _DAY
    for number, path in enumerate(newest_first):
        if number >= keep or (number and days and path.stat().st_mtime < too_old):
            path.unlink()
    for path in folder.glob("*.sha256"):
        if not path.with_suffix("").exists():
            path.unlink()


def read(path: Path, offset: int, length: int) -> bytes:
    """A part of a snapshot."""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let nobody else take a snapshot here meanwhile."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def run(command: list[str]) -> str:
    """Run etcdctl or etcdutl.

    Raises:
        SnapshotError: It failed; the text has the last line of its error.
    """
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip() and line[:8] != '{"level"']
        said = (lines or ["it said nothing"])[-1]
        raise SnapshotError(f"{os.path.basename(command[0])} failed: {said}")
    return done.stdout


def answer(wanted: dict[str, Any]) -> dict[str, Any]:
    """Do what is wanted: ``{"do": "take", "folder", "label", "keep", "days"}``, or one of two other things.

    ``{"do": "read", "path", "offset", "length"}`` reads a part of a file: ``block`` in base64.
    ``{"do": "turn", "seconds", "keep", "days"}`` takes a snapshot if it is this member's turn.
    """
    if wanted["do"] == "read":
        block = read(Path(wanted["path"]), wanted["offset"], wanted["length"])
        return {"block": base64.b64encode(block).decode()}
    if wanted["do"] == "turn":
        return turn(FOLDER, wanted["seconds"], wanted["keep"], wanted["days"])
    os.nice(10)
    return take(Path(wanted["folder"]), wanted["label"], wanted["keep"], wanted["days"])


def main() -> None:
    """Print the answer, or ``{"problem": TEXT}``; the timer's service fails where there is a problem."""
    wanted = json.loads(sys.argv[1])
    try:
        done = answer(wanted)
    except (SnapshotError, OSError, LookupError, TypeError) as error:
        done = {"problem": str(error)}
    json.dump(done, sys.stdout)
    if "problem" in done and wanted["do"] == "turn":
        sys.exit(1)


if __name__ == "__main__":
    main()

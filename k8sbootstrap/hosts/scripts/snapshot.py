"""Runs on an etcd host, never on the controller: takes a snapshot of etcd, checks it and keeps the last few.

It is sent over SSH, with a JSON document as its one argument: ``{"etcdctl": [WORD, ...], "folder": PATH,
"name": NAME, "keep": NUMBER}``. It prints ``{"path", "bytes"}``. Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HASH = 32
"""Bytes at the end of a snapshot: the sha256 of all before it, as the member that sent it reckoned."""


def whole(path: Path) -> bool:
    """Whether a snapshot is as its member sent it: what ``etcdutl snapshot restore`` looks at too."""
    left = path.stat().st_size - HASH
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while left > 0:
            block = file.read(min(left, 1 << 20))
            digest.update(block)
            left -= len(block)
            if not block:
                return False
        return left == 0 and file.read() == digest.digest()


def take(wanted: dict[str, Any]) -> dict[str, Any]:
    """Take a snapshot; on any failure nothing of it stays."""
    folder = Path(wanted["folder"])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.umask(0o077)
    partial, path = folder / ".partial", folder / wanted["name"]
    partial.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            [*wanted["etcdctl"], "snapshot", "save", str(partial)],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            sys.exit(f"etcdctl snapshot save failed: {said}")
        if not whole(partial):
            sys.exit(f"the snapshot of {partial.stat().st_size} bytes is damaged: its hash is not right")
        partial.chmod(0o600)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    kept = sorted(folder.glob("*.db"), key=lambda file: file.stat().st_mtime)
    for old in kept[: -wanted["keep"]]:
        old.unlink()
    return {"path": str(path), "bytes": path.stat().st_size}


if __name__ == "__main__":
    json.dump(take(json.loads(sys.argv[1])), sys.stdout)

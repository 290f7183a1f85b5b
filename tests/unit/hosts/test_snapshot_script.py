"""The script that takes snapshots on an etcd host, with a program in etcdctl's place."""

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.hosts.scripts import snapshot


@pytest.fixture(autouse=True)
def _same_umask():
    """The script sets the umask of its process, which is that of the tests here."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def sent(content: bytes) -> bytes:
    return content + hashlib.sha256(content).digest()


@pytest.fixture
def wanted(tmp_path: Path) -> dict[str, Any]:
    """A request whose etcdctl copies ``member``."""
    program = tmp_path / "etcdctl"
    program.write_text(
        f'#!/bin/sh\n[ "$1 $2" = "snapshot save" ] && cp {tmp_path}/member "$3" && chmod 644 "$3"\n'
    )
    program.chmod(0o755)
    return {"etcdctl": [str(program)], "folder": str(tmp_path / "kept"), "name": "new.db", "keep": 2}


def test_a_snapshot_is_kept_for_root_alone(tmp_path: Path, wanted: dict[str, Any]) -> None:
    (tmp_path / "member").write_bytes(sent(b"data" * 1000))
    assert snapshot.take(wanted) == {"path": str(tmp_path / "kept/new.db"), "bytes": 4032}
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "kept/new.db").stat().st_mode) == 0o600


def test_only_the_newest_stay(tmp_path: Path, wanted: dict[str, Any]) -> None:
    (tmp_path / "member").write_bytes(sent(b"data"))
    (tmp_path / "kept").mkdir()
    for age, name in enumerate(("b.db", "c.db", "a.db")):
        (tmp_path / "kept" / name).touch()
        os.utime(tmp_path / "kept" / name, (age, age))
    snapshot.take(wanted)
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["a.db", "new.db"]


@pytest.mark.parametrize(
    "content", [b"", b"short", sent(b"data")[:-1], sent(b"data") + b"x", b"x" + sent(b"data")]
)
def test_a_damaged_one_is_refused(tmp_path: Path, wanted: dict[str, Any], content: bytes) -> None:
    (tmp_path / "member").write_bytes(content)
    with pytest.raises(SystemExit, match="damaged"):
        snapshot.take(wanted)
    assert list((tmp_path / "kept").iterdir()) == []


def test_etcdctl_that_fails_is_quoted(tmp_path: Path, wanted: dict[str, Any]) -> None:
    (tmp_path / "etcdctl").write_text("#!/bin/sh\necho 'no space left' >&2; exit 1\n")
    with pytest.raises(SystemExit, match="etcdctl snapshot save failed: no space left"):
        snapshot.take(wanted)

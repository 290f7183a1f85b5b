"""The program that takes snapshots on an etcd host, with programs in the place of etcdctl and etcdutl."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from ansible.module_utils.k8sbootstrap.kube import etcd_snapshot
from ansible.module_utils.k8sbootstrap.kube.etcd_snapshot import SnapshotError, take

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _same_umask():
    """The program sets the umask of its process, which is that of the tests here."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def sent(content: bytes) -> bytes:
    return content + hashlib.sha256(content).digest()


RANDOM = os.urandom(100_000)
"""Nothing makes it smaller."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where snapshots go; etcdctl copies ``member``."""
    for name, script in {
        "etcdctl": f'shift; [ "$1 $2" = "snapshot save" ] && cp {tmp_path}/member "$3" && chmod 644 "$3"',
        "etcdutl": '[ "$1 $2" = "snapshot status" ] && echo \'{"revision": 7, "totalKey": 12, "hash": 1}\'',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
        monkeypatch.setattr(etcd_snapshot, name.upper(), [str(tmp_path / name)])
    (tmp_path / "member").write_bytes(sent(RANDOM))
    return tmp_path / "kept"


def names(folder: Path) -> list[str]:
    return sorted(path.name.partition("-")[2] for path in folder.iterdir() if path.name != ".lock")


def test_a_snapshot_is_kept_for_root_alone_with_its_hash(folder: Path) -> None:
    taken = take(folder, "on-demand", 3)
    path = folder / taken["path"].rpartition("/")[2]
    assert path.read_bytes() == sent(RANDOM)
    assert taken == {
        "path": str(path),
        "bytes": 100_032,
        "sha256": hashlib.sha256(sent(RANDOM)).hexdigest(),
        "revision": 7,
        "keys": 12,
    }
    assert names(folder) == ["on-demand.db", "on-demand.db.sha256"]
    assert (folder / f"{path.name}.sha256").read_text() == f"{taken['sha256']}  {path.name}\n"
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_it_is_compressed_where_that_is_worthwhile(tmp_path: Path, folder: Path) -> None:
    content = sent(b"objects " * 10_000)
    (tmp_path / "member").write_bytes(content)
    taken = take(folder, "on-demand", 3)
    assert names(folder) == ["on-demand.db.gz", "on-demand.db.gz.sha256"]
    assert taken["bytes"] < 10_000
    with gzip.open(taken["path"]) as file:
        assert file.read() == content


def old(folder: Path, name: str, days: float) -> None:
    folder.mkdir(exist_ok=True)
    for each in (name, f"{name}.sha256"):
        (folder / each).touch()
        os.utime(folder / each, (time.time() - days * 86400,) * 2)


def test_the_newest_of_each_kind_stay(folder: Path) -> None:
    for days in range(4):
        old(folder, f"2026010{days}T000000Z-timer.db.gz", days + 1)
    old(folder, "20260101T000000Z-before-1.36.2-from-1.35.1.db", 900)
    old(folder, "other.db", 900)
    take(folder, "timer", 2)
    assert names(folder)[0] == ""
    kept = sorted(path.name for path in folder.glob("*.db*") if not path.name.endswith(".sha256"))
    assert kept[:2] == ["20260100T000000Z-timer.db.gz", "20260101T000000Z-before-1.36.2-from-1.35.1.db"]
    assert len(kept) == 4
    assert {path.with_suffix("").name for path in folder.glob("*.sha256")} == set(kept)


def test_those_that_are_too_old_go_but_for_the_newest(folder: Path) -> None:
    for days in (1, 9, 11):
        old(folder, f"202601{days:02}T000000Z-timer.db", days)
    etcd_snapshot.prune(folder, "timer", 5, 10)
    assert len(list(folder.glob("*.db"))) == 2
    etcd_snapshot.prune(folder, "timer", 5, 0.5)
    assert [path.name for path in folder.glob("*.db")] == ["20260101T000000Z-timer.db"]


@pytest.mark.parametrize(
    "content", [b"", b"short", sent(b"data")[:-1], sent(b"data") + b"x", b"x" + sent(b"data")]
)
def test_a_damaged_one_is_refused(tmp_path: Path, folder: Path, content: bytes) -> None:
    (tmp_path / "member").write_bytes(content)
    with pytest.raises(SnapshotError, match="damaged"):
        take(folder, "on-demand", 3)
    assert names(folder) == []


def test_etcdutl_finds_one_that_is_damaged(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "etcdutl").write_text("#!/bin/sh\necho 'expected [1], got [2]' >&2; exit 1\n")
    with pytest.raises(SnapshotError, match=r"failed: expected \[1\], got \[2\]"):
        take(folder, "on-demand", 3)
    assert names(folder) == []


def test_a_host_without_etcdutl_has_the_hash(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "etcdutl").unlink()
    assert take(folder, "before-1.37.1-from-1.36.2", 3)["revision"] == 0


def test_etcdctl_that_fails_is_quoted(tmp_path: Path, folder: Path) -> None:
    text = "#!/bin/sh\necho 'no space left' >&2; echo '{\"level\":\"warn\"}' >&2; exit 1\n"
    (tmp_path / "etcdctl").write_text(text)
    with pytest.raises(SnapshotError, match=r"failed: no space left$"):
        take(folder, "on-demand", 3)


def run(**wanted: Any) -> dict[str, Any]:
    command = [sys.executable, "-I", "-", json.dumps(wanted)]
    text = open(etcd_snapshot.__file__).read()  # noqa: PTH123, SIM115
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_file_is_a_program_that_reads_parts(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"0123456789")
    answer = run(do="read", path=str(tmp_path / "x.db"), offset=4, length=3)
    assert base64.b64decode(answer["block"]) == b"456"
    assert "No such file" in run(do="read", path=str(tmp_path / "y.db"), offset=0, length=3)["problem"]


def cluster(tmp_path: Path, here: int, leader: int = 3, ill: tuple[int, ...] = ()) -> None:
    """An etcd of the members 1, 2 and 3, as etcdctl on the host of one of them shows it."""

    def status(member: int) -> dict[str, Any]:
        return {"Endpoint": f"m{member}", "Status": {"header": {"member_id": member}, "leader": leader}}

    well = [member for member in (1, 2, 3) if member not in ill]
    answers = {
        "endpoint status": [status(here)],
        "endpoint health --cluster": [{"endpoint": f"m{n}", "health": n in well} for n in (1, 2, 3)],
        "endpoint status --cluster": [status(member) for member in well],
    }
    cases = "".join(f"  '{name}') echo '{json.dumps(answer)}' ;;\n" for name, answer in answers.items())
    script = f'#!/bin/sh\nshift\n[ "$1" = snapshot ] && exec cp {tmp_path}/member "$3"\nshift\n'
    (tmp_path / "etcdctl").write_text(f'{script}case "$*" in\n{cases}esac\n')


def takers(tmp_path: Path, folder: Path, **state: Any) -> list[int]:
    """The members that take a snapshot, where all are asked at the same moment."""
    found = []
    for here in (1, 2, 3):
        cluster(tmp_path, here, **state)
        if etcd_snapshot.turn(folder, 3600, 100, 0).get("taken", True):
            found.append(here)
    return found


def test_one_member_takes_it_and_they_take_turns(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour, taken = 3600 * 500_000, []
    for moment in (hour, hour + 3, hour + 3600, hour + 7199, hour + 10_800 - 5):
        monkeypatch.setattr(etcd_snapshot.time, "time", lambda moment=moment: moment)
        taken.append(takers(tmp_path, folder))
    assert taken == [[1], [1], [2], [1], [2]]
    assert takers(tmp_path, folder, leader=1) == [3]
    assert takers(tmp_path, folder, leader=1, ill=(3,)) == [2]
    assert takers(tmp_path, folder, leader=1, ill=(2, 3)) == [1]


def test_the_timers_service_fails_where_nobody_is_healthy(tmp_path: Path, folder: Path) -> None:
    cluster(tmp_path, 1, ill=(1, 2, 3))
    with pytest.raises(SnapshotError, match="endpoint status --cluster failed"):
        etcd_snapshot.turn(folder, 3600, 100, 0)
    command = [sys.executable, etcd_snapshot.__file__, json.dumps({"do": "turn", "seconds": 60})]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "problem" in json.loads(done.stdout)

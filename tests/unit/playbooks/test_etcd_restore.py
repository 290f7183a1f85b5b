"""A member is rebuilt on its host, with programs in the place of etcdutl and etcd; killed at each place."""

from __future__ import annotations

import getpass
import gzip
import hashlib
import importlib
import json
import os
import pwd
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from ansible.module_utils.k8sbootstrap.host import arrivals
from ansible.module_utils.k8sbootstrap.kube import etcd_restore, etcd_snapshot
from ansible.module_utils.k8sbootstrap.kube.etcd import mark
from ansible.module_utils.k8sbootstrap.kube.etcd_restore import RestoreError, finish, place, stage
from ansible.module_utils.k8sbootstrap.kube.etcd_snapshot import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTENT = b"objects " * 1000
SNAPSHOT = CONTENT + hashlib.sha256(CONTENT).digest()
MEMBERS = {"m1": "10.0.0.11", "m2": "10.0.0.12"}
ID = "restore-20261129T190000Z"
ETCDUTL = """#!/bin/sh
case "$2" in
  status) echo '{"revision": 7, "totalKey": 12}' ;;
  restore) echo "$*" >>ROOT/asked
    [ -e ROOT/full ] && { echo "no space left on device" >&2; exit 1; }
    mkdir -p "$5/member/wal" "$5/member/snap"
    cp "$3" "$5/member/snap/db" && echo new >"$5/member/wal/1.wal" ;;
esac
"""


@pytest.fixture(autouse=True)
def _same_umask():
    """Taking a snapshot sets the umask of its process, which is that of the tests here."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def root(tmp_path: Path, host: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host: its unit and etcdutl, and old data in etcd's folder."""
    data = tmp_path / "etcd"
    (data / "member/wal").mkdir(parents=True)
    (data / "member/wal/1.wal").write_text("old")
    (tmp_path / "etcd.service").touch()
    (tmp_path / "etcdutl").write_text(ETCDUTL.replace("ROOT", str(tmp_path)))
    (tmp_path / "etcdutl").chmod(0o755)
    (tmp_path / "asked").touch()
    monkeypatch.setattr(etcd_snapshot, "ETCDUTL", [str(tmp_path / "etcdutl")])
    for name, value in {
        "DATA": str(data),
        "STAGE": str(tmp_path / "stage"),
        "UNIT": str(tmp_path / "etcd.service"),
        "SECONDS_TO_ARRIVE": 0.0,
    }.items():
        monkeypatch.setattr(etcd_restore, name, value)
    me = pwd.getpwnam(getpass.getuser())
    monkeypatch.setattr(etcd_restore.pwd, "getpwnam", lambda _: me)
    monkeypatch.setattr(arrivals, "_STALLED", 0.1)
    return tmp_path


def send(root: Path, content: bytes = SNAPSHOT) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    folder = root / "incoming"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / digest).write_bytes(content)
    return {"identity": ID, "folder": str(folder), "sha256": digest}


def old(root: Path) -> list[str]:
    """What was set aside."""
    return sorted(path.read_text() for path in root.glob("etcd/before-*/member/wal/1.wal"))


def now(root: Path) -> str:
    return (root / "etcd/member/wal/1.wal").read_text()


def rebuild(new_record: Callable[..., Any]) -> bool:
    done: bool = place(new_record(), "m1", MEMBERS, f"demo-{ID}", 1000)
    return done


@pytest.mark.parametrize("content", [SNAPSHOT, gzip.compress(SNAPSHOT)], ids=["plain", "compressed"])
def test_a_snapshot_is_checked_where_it_is_to_be_restored(root: Path, content: bytes) -> None:
    wanted = send(root, content)
    about = {"bytes": len(SNAPSHOT), "revision": 7, "keys": 12}
    assert stage(**wanted) == about
    assert (root / f"stage/{ID}.db").read_bytes() == SNAPSHOT
    assert {path.stat().st_mode & 0o777 for path in (root / "stage").iterdir()} == {0o600}
    (root / "incoming" / wanted["sha256"]).unlink()
    assert stage(**wanted) == about  # it need not be sent again
    assert now(root) == "old"


@pytest.mark.parametrize(
    "content", [SNAPSHOT[:-1], SNAPSHOT + b"x", CONTENT, gzip.compress(SNAPSHOT)[:-5], b""]
)
def test_no_whole_snapshot_is_refused(root: Path, content: bytes) -> None:
    with pytest.raises(RestoreError, match=r"no whole snapshot|can't be decompressed"):
        stage(**send(root, content))


def test_one_that_does_not_arrive(root: Path) -> None:
    wanted = send(root)
    with pytest.raises(RestoreError, match="did not arrive"):
        stage(**{**wanted, "folder": f"{root}/nowhere"})
    (root / "incoming" / wanted["sha256"]).write_bytes(b"other")
    with pytest.raises(RestoreError, match="arrived damaged"):
        stage(**wanted)


def test_the_folder_may_be_there_before_the_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host makes the folder when the connection is there, and the file when its first byte is."""
    monkeypatch.setattr(etcd_restore, "SECONDS_TO_ARRIVE", 30.0)
    wanted = send(root)
    file = root / "incoming" / wanted["sha256"]
    file.unlink()
    late = threading.Timer(0.3, lambda: file.write_bytes(SNAPSHOT))
    late.start()
    assert stage(**wanted)["revision"] == 7
    late.join()


def test_a_connection_that_is_lost_before_the_file_is_there(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etcd_restore, "SECONDS_TO_ARRIVE", 30.0)
    folder = root / "incoming"
    folder.mkdir(mode=0o700)
    lost = threading.Timer(0.3, folder.rmdir)
    lost.start()
    began = time.monotonic()
    with pytest.raises(RestoreError, match="did not arrive"):
        stage(ID, str(folder), "0" * 64)
    assert time.monotonic() - began < 10
    lost.join()


def test_a_host_without_etcd_or_room(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = etcd_restore.shutil.disk_usage(root)
    monkeypatch.setattr(etcd_restore.shutil, "disk_usage", lambda _: usage._replace(free=4000))
    with pytest.raises(RestoreError, match="free, and the data takes"):
        stage(**send(root))
    (root / "etcd.service").unlink()
    with pytest.raises(RestoreError, match=r"etcd\.service is missing"):
        stage(**send(root))


def test_data_is_replaced_and_set_aside(root: Path, new_record: Callable[..., Any]) -> None:
    stage(**send(root))
    mark(new_record(), ID)
    assert new_record().data["etcd"]["restoring"] == ID
    assert rebuild(new_record)
    assert (now(root), old(root)) == ("new\n", ["old"])
    asked = (root / "asked").read_text()
    for words in (
        f"snapshot restore {root}/stage/{ID}.db --data-dir {root}/etcd/restoring --name m1",
        "--initial-cluster m1=https://10.0.0.11:2380,m2=https://10.0.0.12:2380",
        f"--initial-cluster-token demo-{ID}",
        "--initial-advertise-peer-urls https://10.0.0.11:2380",
        "--bump-revision 1000 --mark-compacted",
    ):
        assert words in asked
    finish(new_record())
    etcd = new_record().data["etcd"]
    assert (etcd["members"], etcd["formed"], "restoring" in etcd) == (MEMBERS, True, False)
    assert not (root / "stage").exists()
    assert sorted(path.name for path in (root / "etcd").iterdir()) == [f"before-{ID}", "member"]


def test_nothing_is_placed_without_a_mark(root: Path, new_record: Callable[..., Any]) -> None:
    stage(**send(root))
    with pytest.raises(RestoreError, match="no restore has begun"):
        rebuild(new_record)
    assert now(root) == "old"


def test_what_was_placed_is_never_placed_again(root: Path, new_record: Callable[..., Any]) -> None:
    """The member may have confirmed writes since; also where the end of the restore was on this host."""
    stage(**send(root))
    mark(new_record(), ID)
    rebuild(new_record)
    (root / "etcd/member/wal/1.wal").write_text("newer")
    assert not rebuild(new_record)
    finish(new_record())
    mark(new_record(), ID)
    stage(**send(root))
    assert not rebuild(new_record)
    assert now(root) == "newer"


def test_another_restore_sets_its_data_aside_too(root: Path, new_record: Callable[..., Any]) -> None:
    stage(**send(root))
    mark(new_record(), ID)
    rebuild(new_record)
    mark(new_record(), "restore-2")
    stage(**{**send(root), "identity": "restore-2"})
    assert rebuild(new_record)
    assert old(root) == ["new\n", "old"]


def test_a_full_disk_leaves_the_data(root: Path, new_record: Callable[..., Any]) -> None:
    stage(**send(root))
    mark(new_record(), ID)
    (root / "full").touch()
    with pytest.raises(SnapshotError, match="no space left on device"):
        rebuild(new_record)
    assert (now(root), old(root)) == ("old", [])
    (root / "full").unlink()
    assert rebuild(new_record)


def test_all_data_is_gone(root: Path, new_record: Callable[..., Any]) -> None:
    etcd_restore.shutil.rmtree(root / "etcd")
    stage(**send(root))
    mark(new_record(), ID)
    assert rebuild(new_record)
    assert (now(root), old(root)) == ("new\n", [])
    assert (root / "etcd").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_killed_while_data_is_replaced(
    root: Path, new_record: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """At each rename, and before the record is written: the next run ends it, and loses nothing old."""
    stage(**send(root))
    mark(new_record(), ID)
    real, left = os.rename, [renames]

    def rename(source: str, target: str) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(source, target)

    record = importlib.import_module("ansible.module_utils.k8sbootstrap.host.record")
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", rename)
        patched.setattr(record.Record, "save", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            rebuild(new_record)
    assert rebuild(new_record)
    assert now(root) == "new\n"
    assert "old" in old(root)


def test_a_snapshot_of_a_survivor_leaves_its_data(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An etcd of its own reads a copy; the snapshot is taken from that, and the copy goes."""
    (tmp_path / "etcd-program").write_text(f'#!/bin/sh\necho "$*" >{tmp_path}/started; exec sleep 60\n')
    (tmp_path / "etcd-program").chmod(0o755)
    etcdctl = tmp_path / "etcdctl"
    etcdctl.write_text(f'#!/bin/sh\necho "$1" >{tmp_path}/from; cat {tmp_path}/sent >"$4"\n')
    etcdctl.chmod(0o755)
    (tmp_path / "sent").write_bytes(SNAPSHOT)
    monkeypatch.setattr(etcd_restore, "ETCD", str(tmp_path / "etcd-program"))
    monkeypatch.setattr(etcd_snapshot, "ETCDCTL", [str(etcdctl)])
    monkeypatch.setattr(etcd_restore, "until_healthy", lambda *_: wait_for(tmp_path / "started"))
    monkeypatch.setattr(etcd_restore.shutil, "chown", lambda *_: None)
    real = etcd_restore.subprocess.Popen
    monkeypatch.setattr(
        etcd_restore.subprocess,
        "Popen",
        lambda command, **rest: real(command, stdout=rest["stdout"], stderr=rest["stderr"]),
    )
    made = etcd_restore.extract(tmp_path / "kept", "m1")
    assert made["path"].endswith("-recovered.db.gz")
    started = (tmp_path / "started").read_text()
    assert "--force-new-cluster" in started
    assert f"--data-dir={root}/etcd/recovering" in started
    assert "--listen-client-urls=https://127.0.0.1:12379" in started
    assert (tmp_path / "from").read_text() == "--endpoints=https://127.0.0.1:12379\n"
    assert sorted(path.name for path in (root / "etcd").iterdir()) == ["member"]
    assert now(root) == "old"


def wait_for(path: Path) -> None:
    while not path.exists() or not path.read_text():
        pass


def test_a_survivor_without_data(root: Path) -> None:
    etcd_restore.shutil.rmtree(root / "etcd/member")
    with pytest.raises(RestoreError, match="there is no data of etcd"):
        etcd_restore.extract(root / "kept", "m1")


def test_the_note_of_a_staged_snapshot_is_no_other_ones(root: Path) -> None:
    wanted = send(root)
    stage(**wanted)
    other = send(root, gzip.compress(SNAPSHOT))
    stage(**other)
    note = json.loads((root / f"stage/{ID}.json").read_text())
    assert note["sha256"] == other["sha256"]

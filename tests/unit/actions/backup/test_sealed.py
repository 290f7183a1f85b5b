"""Backups: what is in them, and that nothing damaged or foreign is taken from one."""

import gzip
import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest

from k8sbootstrap.actions.backup.sealed import AUTHORITIES, opened
from k8sbootstrap.errors import BackupError, StateError
from k8sbootstrap.formats.age import Key, encrypt
from k8sbootstrap.state import State

from .conftest import DATA, IDENTITY, KEY, PASSPHRASE, SNAPSHOT

MakeBackup = Callable[..., Path]


@pytest.fixture(autouse=True)
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that backups are unpacked in."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_all_that_a_cluster_is_rebuilt_from(filled: State, make: MakeBackup, cluster_file: Path) -> None:
    file = make()
    assert file.stat().st_mode & 0o777 == 0o600
    with opened(file, KEY) as backup:
        manifest, folder = backup.manifest, backup.folder
        assert (manifest.cluster, manifest.revision) == ("demo", 77)
        assert manifest.made_with["network.serviceCIDR"] == "10.96.0.0/16"
        assert set(manifest.files) == {"cluster.yaml", "etcd.snapshot", "artifact-pins.json", *AUTHORITIES}
        assert (folder / "cluster.yaml").read_text() == cluster_file.read_text()
        assert backup.database.read_bytes() == backup.snapshot.read_bytes() == SNAPSHOT
        for name, kept in AUTHORITIES.items():
            assert (folder / name).read_bytes() == (filled.pki / kept).read_bytes()
        assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o600}
        assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_dir()} == {0o700}
        assert backup.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert not folder.parent.exists()
    assert not list(filled.directory.glob(".backup-*"))


def test_keys_of_hosts_are_not_in_it(filled: State, make: MakeBackup) -> None:
    with opened(make(), KEY) as backup:
        assert not list(backup.folder.rglob("apiserver*"))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (Key(identities=[str(pyrage.x25519.Identity.generate())]), "encrypted for other recipients"),
        (PASSPHRASE, "it is encrypted for recipients, not with a passphrase"),
        (Key(identities=["x"]), "the identity is no secret key of age"),
    ],
)
def test_another_key(filled: State, make: MakeBackup, key: Key, said: str) -> None:
    with pytest.raises(BackupError, match=said), opened(make(), key):
        pass


def test_a_passphrase(filled: State, make: MakeBackup) -> None:
    file = make(PASSPHRASE)
    with opened(file, PASSPHRASE) as backup:
        assert backup.manifest.cluster == "demo"
    for key, said in [
        (Key(passphrase="wrong horse battery"), "the passphrase is another one, or the file was changed"),
        (Key(identities=[IDENTITY]), "it is encrypted with a passphrase, not for recipients"),
    ]:
        with pytest.raises(BackupError, match=said), opened(file, key):
            pass


def test_without_authorities_there_is_no_backup(filled: State, make: MakeBackup) -> None:
    (filled.pki / "etcd/ca.key").write_bytes((filled.pki / "ca.key").read_bytes())
    with pytest.raises(StateError, match="does not match its key"):
        make()
    (filled.pki / "etcd/ca.key").unlink()
    with pytest.raises(StateError, match=r"etcd/ca\.key is missing"):
        make()


@pytest.mark.parametrize("place", [-1, -1000, 40, 300])
def test_one_that_was_changed_or_cut_off(filled: State, make: MakeBackup, place: int, unpacked: Path) -> None:
    file = make()
    whole = file.read_bytes()
    for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place:][1:]):
        file.write_bytes(damaged)
        with pytest.raises(BackupError, match=rf"{file} can't be used: it "), opened(file, KEY):
            pass
    assert not list(unpacked.iterdir())


def sealed(folder: Path, members: dict[str, bytes], kind: bytes = tarfile.REGTYPE, **changes: Any) -> Path:
    """A backup with these files, made by somebody who has the key."""
    files = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in members.items()
    }
    manifest = {
        "format": 1,
        "cluster": "demo",
        "kubernetes": "1.36.2",
        "created": "2026",
        "made_by": "1",
        "revision": 1,
        "made_with": {},
        "files": files,
    } | changes
    plain = folder / "plain.tar"
    with tarfile.open(plain, "w") as tar:
        for name, content in {"manifest.json": json.dumps(manifest).encode(), **members}.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            header.type = tarfile.REGTYPE if name == "manifest.json" else kind
            tar.addfile(header, io.BytesIO(content))
    encrypt(plain, folder / "sealed", KEY)
    return folder / "sealed"


@pytest.fixture
def good(filled: State) -> dict[str, bytes]:
    """The files of a backup that can be used."""
    kept = {name: (filled.pki / file).read_bytes() for name, file in AUTHORITIES.items()}
    return {"cluster.yaml": b"x", "etcd.snapshot": SNAPSHOT, **kept}


def test_a_compressed_snapshot(tmp_path: Path, good: dict[str, bytes]) -> None:
    file = sealed(tmp_path, good | {"etcd.snapshot": gzip.compress(SNAPSHOT)})
    with opened(file, KEY) as backup:
        assert backup.database.read_bytes() == SNAPSHOT


@pytest.mark.parametrize(
    "case",
    [
        ({"../evil": b"x"}, {}, "its manifest is not as it should be"),
        ({"/etc/passwd": b"x"}, {}, "its manifest is not as it should be"),
        ({"pki/../../x": b"x"}, {}, "its manifest is not as it should be"),
        ({"pki/hosts/master1/x.key": b"x"}, {}, "its manifest is not as it should be"),
        ({}, {"format": 2}, "it has format 2, and this version of k8sbootstrap reads format 1. Use a newer"),
        ({}, {"format": "1"}, "it has format 1"),
        ({}, {"cluster": "../x"}, "its manifest is not as it should be: cluster"),
        ({}, {"created": "\x1b[2J"}, "its manifest is not as it should be: created"),
        ({}, {"files": {}}, "'cluster.yaml' in it is not what its manifest says"),
        ({"etcd.snapshot": SNAPSHOT[:-1]}, {}, "the snapshot of etcd in it is damaged"),
        ({"etcd.snapshot": DATA}, {}, "the snapshot of etcd in it is damaged"),
        ({"etcd.snapshot": b"\x1f\x8bxx"}, {}, "the snapshot of etcd in it is damaged"),
        ({"etcd.snapshot": gzip.compress(SNAPSHOT)[:-9]}, {}, "the snapshot of etcd in it is damaged"),
        ({"pki/ca.crt": b"x"}, {}, "ca.crt or ca.key is not a certificate or not a key"),
    ],
)
def test_what_is_in_it_is_checked(
    tmp_path: Path,
    good: dict[str, bytes],
    unpacked: Path,
    case: tuple[dict[str, bytes], dict[str, Any], str],
) -> None:
    more, changes, said = case
    file = sealed(tmp_path, good | more, **changes)
    with pytest.raises(BackupError) as caught, opened(file, KEY):
        pass
    assert said in str(caught.value)
    assert not list(unpacked.iterdir())
    assert not (tmp_path / "evil").exists()


def test_files_that_are_missing(tmp_path: Path, good: dict[str, bytes]) -> None:
    del good["pki/sa.key"], good["etcd.snapshot"]
    with (
        pytest.raises(BackupError, match=r"it lacks etcd\.snapshot, pki/sa\.key"),
        opened(sealed(tmp_path, good), KEY),
    ):
        pass


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_a_member_that_is_no_file(tmp_path: Path, good: dict[str, bytes], kind: bytes) -> None:
    with pytest.raises(BackupError, match="can't be used"), opened(sealed(tmp_path, good, kind), KEY):
        pass


def test_a_file_that_its_hash_is_not_of(tmp_path: Path, good: dict[str, bytes]) -> None:
    wrong = {name: {"sha256": "a" * 64, "bytes": len(content)} for name, content in good.items()}
    with (
        pytest.raises(BackupError, match=r"cluster\.yaml in it is damaged"),
        opened(sealed(tmp_path, good, files=wrong), KEY),
    ):
        pass


def test_something_else_that_is_encrypted(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 2000)
    encrypt(tmp_path / "x", tmp_path / "sealed", KEY)
    with (
        pytest.raises(BackupError, match="it is no backup of k8sbootstrap"),
        opened(tmp_path / "sealed", KEY),
    ):
        pass
    with pytest.raises(BackupError, match="it is not encrypted with age"), opened(tmp_path / "x", KEY):
        pass


def test_a_disk_that_is_full(filled: State, make: MakeBackup, monkeypatch: pytest.MonkeyPatch) -> None:
    file = make()
    monkeypatch.setattr("k8sbootstrap.formats.age._library", _full)
    with pytest.raises(BackupError, match="No space left") as caught, opened(file, KEY):
        pass
    assert "TMPDIR" in caught.value.hint


def _full() -> None:
    raise OSError(28, "No space left on device")

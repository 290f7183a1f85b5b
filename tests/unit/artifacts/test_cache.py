import os
import stat
import time
from pathlib import Path

import pytest

from k8sbootstrap.artifacts.cache import Cache, cache_dir
from k8sbootstrap.catalog.models import ArtifactFile

from .helpers import artifact, digest


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"K8SBOOTSTRAP_CACHE": "/var/cache/x", "XDG_CACHE_HOME": "/xdg"}, "/var/cache/x"),
        ({"K8SBOOTSTRAP_CACHE": "~/x"}, "/home/me/x"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/k8sbootstrap"),
        ({}, "/home/me/.cache/k8sbootstrap"),
    ],
)
def test_cache_dir(monkeypatch, environment, expected):
    for name in ("K8SBOOTSTRAP_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    assert cache_dir() == Path(expected)


def test_layout_names_the_file_and_its_hash(tmp_path):
    path = Cache(tmp_path).path(artifact("kubelet"), "ab" * 32)
    assert path == tmp_path / "artifacts/kubernetes/1.36.4/amd64/kubelet@abababababababab"


def test_a_hash_is_remembered_until_the_file_changes(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"one")
    cache = Cache(tmp_path / "cache")
    assert cache.hash_of(file) == digest(b"one")
    cache.save()
    again = Cache(tmp_path / "cache")
    before = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert again.hash_of(file) == digest(b"two"), "same size, inode and mtime: ctime tells"


def test_files_that_went_away_are_forgotten(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"one")
    cache = Cache(tmp_path / "cache")
    cache.hash_of(file)
    cache.save()
    assert str(file) in (tmp_path / "cache/hashes.json").read_text()
    file.unlink()
    again = Cache(tmp_path / "cache")
    (tmp_path / "other").write_bytes(b"")
    again.hash_of(tmp_path / "other")
    again.save()
    assert str(file) not in (tmp_path / "cache/hashes.json").read_text()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"x": 1}'])
def test_damaged_notes_are_made_anew(tmp_path, content):
    (tmp_path / "hashes.json").write_text(content)
    (tmp_path / "verified.json").write_text(content)
    file = tmp_path / "file"
    file.write_bytes(b"one")
    cache = Cache(tmp_path)
    assert cache.hash_of(file) == digest(b"one")
    assert cache.verified(artifact()) is None


def test_what_upstream_vouched_for_holds_for_that_very_archive(tmp_path):
    def etcd(archive: str) -> ArtifactFile:
        return ArtifactFile(
            "etcd", "3.6.8", "amd64", "etcd", url="https://u", url_sha256=archive, member="etcd"
        )

    cache = Cache(tmp_path)
    cache.remember_verified(etcd("aa"), "bb")
    cache.save()
    assert Cache(tmp_path).verified(etcd("aa")) == "bb"
    assert Cache(tmp_path).verified(etcd("cc")) is None


def test_the_cache_is_its_users_alone_and_holds_no_leftovers(tmp_path):
    root = tmp_path / "cache"
    cache = Cache(root)
    with cache.temporary() as temporary:
        temporary.write_bytes(b"x")
        assert stat.S_IMODE(root.stat().st_mode) == 0o700
        stored = cache.store(temporary, artifact(), digest(b"x"))
    assert stored.read_bytes() == b"x"
    for name, age in (("old", 2 * 86400), ("new", 60)):
        left = root / "tmp" / name
        left.write_bytes(b"")
        os.utime(left, (time.time() - age,) * 2)
    cache.save()
    assert [path.name for path in (root / "tmp").iterdir()] == ["new"]

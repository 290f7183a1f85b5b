"""Packages of a bundle become folders of the cache, once and whole."""

from pathlib import Path

import pytest

from k8sbootstrap.artifacts.bundle.reader import open_bundle
from k8sbootstrap.artifacts.bundle.unpack import unpack_packages
from k8sbootstrap.errors import BundleError

from .conftest import Make

TOP = "packages/debian12/amd64"
CONTENT = {f"{TOP}/Packages": b"index", f"{TOP}/hello_1_all.deb": b"hello", "etcd/3.6.8/amd64/etcd": b"etcd"}


def test_only_packages_are_unpacked(make: Make, tmp_path: Path) -> None:
    folders = unpack_packages(open_bundle(make(CONTENT)), tmp_path / "cache")
    assert set(folders) == {"debian12/amd64"}
    found = {path.name: path.read_bytes() for path in folders["debian12/amd64"].iterdir()}
    assert found == {"Packages": b"index", "hello_1_all.deb": b"hello"}


def test_it_is_done_once(make: Make, tmp_path: Path) -> None:
    bundle = open_bundle(make(CONTENT))
    first = unpack_packages(bundle, tmp_path / "cache")
    bundle.path.unlink()
    assert unpack_packages(bundle, tmp_path / "cache") == first


def test_damage_leaves_nothing(make: Make, tmp_path: Path) -> None:
    path = make(CONTENT)
    bundle = open_bundle(path)
    data = bytearray(path.read_bytes())
    data[bundle.places[f"{TOP}/hello_1_all.deb"]] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"hello_1_all\.deb has sha256 \w+ and must have \w+, as its "):
        unpack_packages(bundle, tmp_path / "cache")
    assert list((tmp_path / "cache" / "repositories").iterdir()) == []

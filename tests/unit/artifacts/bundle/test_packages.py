"""What apt says of packages, and the repository that a bundle has of them."""

import hashlib
from pathlib import Path

import pytest

from k8sbootstrap.artifacts.packages import apt
from k8sbootstrap.artifacts.packages.repository import index, release
from k8sbootstrap.errors import BundleError

ETHTOOL = """\
Package: ethtool
Version: 1:6.1-1
Architecture: amd64
Maintainer: Somebody <somebody@example.com>
Depends: libc6 (>= 2.34), libmnl0 (>= 1.0.3-4~)
Recommends: something
Description-en: display or change Ethernet device settings
 ethtool can be used to query and change settings.
Size: 196612
SHA256: d44dbb1b0e0cd7d9dbcf9ea9d5a3f0d0ad53bbc6fa1e05e8aab2a3ab1ca0a4fc
Filename: pool/main/e/ethtool/ethtool_6.1-1_amd64.deb
"""


def test_a_stanza_is_read() -> None:
    package = apt._package(ETHTOOL)
    assert (package.name, package.version, package.size) == ("ethtool", "1:6.1-1", 196612)
    assert package.file == "ethtool_6.1-1_amd64.deb", "as Debian names it: without the epoch"


def test_the_index_has_what_apt_needs_to_install() -> None:
    text = index([apt._package(ETHTOOL)]).decode()
    assert text.splitlines() == [
        "Package: ethtool",
        "Version: 1:6.1-1",
        "Architecture: amd64",
        "Depends: libc6 (>= 2.34), libmnl0 (>= 1.0.3-4~)",
        "Filename: ./ethtool_6.1-1_amd64.deb",
        "Size: 196612",
        "SHA256: d44dbb1b0e0cd7d9dbcf9ea9d5a3f0d0ad53bbc6fa1e05e8aab2a3ab1ca0a4fc",
    ]


def test_the_release_has_the_hash_of_the_index() -> None:
    lines = release("debian12", "amd64", b"the index").decode().splitlines()
    assert f" {hashlib.sha256(b'the index').hexdigest()} 9 Packages" in lines


def test_mirrors_of_every_kind_are_taken_from_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (
        "Vendor|bookworm|main|https://vendor.example/apt/",
        "Debian|bookworm|non-free|http://mirror.example/debian/",
        "Debian|bookworm|main|http://mirror.example/debian/",
        "Debian|bookworm-updates|main|http://mirror.example/debian/",
        "Debian|bookworm-backports|main|http://mirror.example/debian/",
        "Debian|bookworm-security|main|http://mirror.example/debian-security/",
    )
    monkeypatch.setattr(apt, "_output", lambda *_: "".join(f"{line}\n" for line in lines))
    monkeypatch.setattr(apt, "KEYRING", Path("/dev/null"))
    assert apt._mirrors() == {
        "": "http://mirror.example/debian/",
        "-updates": "http://mirror.example/debian/",
        "-security": "http://mirror.example/debian-security/",
    }


def test_a_machine_without_a_mirror_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "_output", lambda *_: "Ubuntu|noble|main|http://mirror.example/ubuntu/\n")
    with pytest.raises(BundleError, match="has no Debian mirror"):
        apt._mirrors()


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(BundleError, match="no-such-apt is not installed"):
        apt._output(["no-such-apt"])


def test_what_apt_complains_of_is_shown() -> None:
    with pytest.raises(BundleError, match="E: no such package"):
        apt._output(["sh", "-c", "echo Reading...; echo 'E: no such package' >&2; exit 100"])

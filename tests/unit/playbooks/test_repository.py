"""Packages that were brought along, as a host takes them: real packages and the real apt-get, in a folder."""

import base64
import hashlib
import importlib
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.artifacts.packages import apt
from k8sbootstrap.artifacts.packages.repository import index

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs Debian's tools")
FIRST, SECOND = "k8sbootstrap-test-first", "k8sbootstrap-test-second"


@pytest.fixture
def repository(tmp_path: Path) -> Any:
    """Two packages, the first of which depends on the second; nothing of them is on this machine."""
    first = _built(tmp_path, FIRST, "1:2.0-1", f"{SECOND} (>= 1.0)")
    second = _built(tmp_path, SECOND, "1.5~x+y-1")
    module = importlib.import_module("ansible.module_utils.k8sbootstrap.host.repository")
    text = base64.b64encode(zlib.compress(index([first, second]))).decode()
    return module.Repository({module._system(): text}, str(tmp_path / "used"))


def _archive(folder: Path, *names: str) -> str:
    with tarfile.open(folder / "sent.tar", "w") as tar:
        for name in names:
            tar.add(folder / name, name)
    return str(folder / "sent.tar")


def test_what_is_needed_and_nothing_left(repository: Any, tmp_path: Path) -> None:
    names = [f"{FIRST}_2.0-1_all.deb", f"{SECOND}_1.5~x+y-1_all.deb"]
    with repository:
        assert repository.needed([FIRST]) == names
        assert repository.needed([SECOND]) == names[1:]
        repository.take(_archive(tmp_path, *names))
        command = [
            "apt-get",
            *repository.options,
            "install",
            "--download-only",
            "-y",
            "-oDebug::NoLocking=1",
            FIRST,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "used").exists()
    assert not (tmp_path / "sent.tar").exists()


def test_a_damaged_package_is_refused(repository: Any, tmp_path: Path) -> None:
    (tmp_path / f"{SECOND}_1.5~x+y-1_all.deb").write_bytes(b"other")
    error = importlib.import_module("ansible.module_utils.k8sbootstrap.host.repository").RepositoryError
    sha256 = hashlib.sha256(b"other").hexdigest()
    with (
        repository,
        pytest.raises(error, match=f"arrived with the wrong content: sha256 {sha256} instead of"),
    ):
        repository.take(_archive(tmp_path, f"{SECOND}_1.5~x+y-1_all.deb"))


def test_only_packages_of_the_index_are_taken(repository: Any, tmp_path: Path) -> None:
    (tmp_path / "other.deb").write_bytes(b"other")
    error = importlib.import_module("ansible.module_utils.k8sbootstrap.host.repository").RepositoryError
    with repository, pytest.raises(error, match=r"other\.deb is not one of the bundle's packages"):
        repository.take(_archive(tmp_path, "other.deb"))


def test_what_the_bundle_lacks_is_said_in_apts_words(repository: Any) -> None:
    error = importlib.import_module("ansible.module_utils.k8sbootstrap.host.repository").RepositoryError
    with repository, pytest.raises(error, match="Unable to locate package k8sbootstrap-test-third"):
        repository.needed(["k8sbootstrap-test-third"])


def test_another_system_is_named() -> None:
    module = importlib.import_module("ansible.module_utils.k8sbootstrap.host.repository")
    with pytest.raises(module.RepositoryError, match="has packages for plan9/amd64, but this host is"):
        module.Repository({"plan9/amd64": ""})


def _built(folder: Path, name: str, version: str, depends: str = "") -> apt.Package:
    """A real package, and its index entry as apt would show it."""
    control = folder / name / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    text = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example.com>\n"
    text += f"Depends: {depends}\n" * bool(depends)
    control.write_text(f"{text}Description: x\n")
    file = folder / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", folder / name, file], check=True)
    data = file.read_bytes()
    stanza = f"{text}Size: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
    package = apt._package(stanza)
    file.rename(folder / package.file)
    return package

"""Which Go builds programs: this machine's where it can fetch other releases of itself, else Debian's."""

from pathlib import Path

import pytest

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import go_toolchain


@pytest.fixture
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Packages that were taken from Debian's mirror."""
    monkeypatch.setenv("K8SBOOTSTRAP_CACHE", str(tmp_path / "cache"))
    taken: list[list[str]] = []

    def unpack(_suite: str, packages: list[str], target: Path) -> None:
        taken.append(packages)
        (target / go_toolchain._PROGRAM).parent.mkdir(parents=True)
        (target / go_toolchain._PROGRAM).touch()

    monkeypatch.setattr(go_toolchain, "unpack", unpack)
    return taken


def _go(folder: Path, script: str) -> str:
    """A PATH that has a program go."""
    folder.mkdir()
    (folder / "go").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "go").chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("version", ["go1.21", "go1.21.0", "go1.26.8 X:nodwarf5", "go2.0"])
def test_a_go_that_fetches_others_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unpacked: list[list[str]], version: str
) -> None:
    monkeypatch.setenv("PATH", _go(tmp_path / "bin", f"echo go version {version} linux/amd64"))
    assert go_toolchain.ensure() == "go"
    assert unpacked == []


@pytest.mark.parametrize("script", ["echo go version go1.19.8 linux/amd64", "exit 1", "echo devel"])
def test_debians_takes_the_place_of_one_that_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unpacked: list[list[str]], script: str
) -> None:
    monkeypatch.setenv("PATH", _go(tmp_path / "bin", script))
    program = go_toolchain.ensure()
    assert Path(program).is_file()
    assert go_toolchain.ensure() == program
    assert len(unpacked) == 1


def test_a_machine_without_go_keeps_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unpacked: list[list[str]]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    def broken(_suite: str, _packages: list[str], target: Path) -> None:
        target.mkdir()
        raise LabError("the mirror does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(go_toolchain, "unpack", broken)
        with pytest.raises(LabError, match="does not answer"):
            go_toolchain.ensure()
    assert list((tmp_path / "cache/lab").iterdir()) == []
    assert Path(go_toolchain.ensure()).is_file()
    assert len(unpacked) == 1

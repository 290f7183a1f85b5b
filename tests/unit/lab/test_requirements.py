"""What a lab needs on the machine."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import requirements
from k8sbootstrap.lab.artifacts import Needed

NEEDED = Needed(("1.37.2",), "containerd", "upstream")
RUNC = ArtifactFile("runc", "1.4.3", "amd64", "runc")
ETCD = ArtifactFile("etcd", "3.7.0", "amd64", "etcd")


def _machine_without(
    monkeypatch: pytest.MonkeyPatch, *programs: str, build: Sequence[ArtifactFile] = ()
) -> None:
    monkeypatch.setattr(
        shutil, "which", lambda program: None if program in programs else f"/usr/bin/{program}"
    )
    monkeypatch.setattr(requirements, "to_build", lambda *_: build)


def test_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine_without(monkeypatch, build=[ETCD])
    assert requirements.missing_packages("nspawn", NEEDED) == []
    requirements.require_packages("nspawn", NEEDED)


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine_without(monkeypatch, "systemd-nspawn", "nft")
    with pytest.raises(LabError, match="nftables, systemd-container") as caught:
        requirements.require_packages("nspawn", NEEDED)
    assert "apt-get install --no-install-recommends nftables systemd-container" in caught.value.hint


@pytest.mark.parametrize(("build", "missing"), [(RUNC, ["gcc"]), (ETCD, [])])
def test_a_c_compiler_is_needed_only_for_programs_with_c(
    monkeypatch: pytest.MonkeyPatch, build: ArtifactFile, missing: list[str]
) -> None:
    _machine_without(monkeypatch, "gcc", build=[build])
    monkeypatch.setattr(requirements, "_C_HEADER", Path(__file__))
    assert requirements.missing_packages("nspawn", NEEDED) == missing
    assert requirements.missing_packages("nspawn") == []


def test_a_c_compiler_needs_headers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _machine_without(monkeypatch, build=[RUNC])
    monkeypatch.setattr(requirements, "_C_HEADER", tmp_path / "stdio.h")
    assert requirements.missing_packages("nspawn", NEEDED) == ["libc6-dev"]


def test_virtual_machines_need_other_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _machine_without(monkeypatch, "systemd-nspawn", "vagrant", "libvirtd")
    monkeypatch.setattr(requirements, "_SHARE", tmp_path)
    assert requirements.missing_packages("vagrant") == ["libvirt-daemon-system", "vagrant", "vagrant-libvirt"]
    (tmp_path / "rubygems-integration/all/gems/vagrant-libvirt-0.11.2").mkdir(parents=True)
    assert requirements.missing_packages("vagrant") == ["libvirt-daemon-system", "vagrant"]
    assert requirements.missing_packages("nspawn") == ["systemd-container"]

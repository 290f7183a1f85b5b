"""Whether KVM is to be used."""

import os
import shutil
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from k8sbootstrap.lab import kvm


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kvm"
    path.touch(mode=0o600)
    monkeypatch.setattr(kvm, "_DEVICE", path)
    monkeypatch.setattr(kvm.pwd, "getpwnam", lambda _name: SimpleNamespace(pw_gid=12345))
    monkeypatch.setattr(kvm.os, "getgrouplist", lambda _name, gid: [gid])
    return path


def test_a_device_that_is_for_root_alone_is_opened_and_closed_again(
    device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "chown", lambda path, _user, _group: os.utime(path))
    saved = tmp_path / "saved"
    assert not kvm._is_open()
    kvm.open_up(saved)
    kvm.open_up(saved)
    assert stat.S_IMODE(device.stat().st_mode) == 0o660
    kvm.close_again(saved)
    kvm.close_again(saved)
    assert stat.S_IMODE(device.stat().st_mode) == 0o600
    assert not saved.exists()


def test_a_device_that_is_open_stays_as_it_is(device: Path, tmp_path: Path) -> None:
    device.chmod(0o666)
    kvm.open_up(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_where_qemu_has_no_such_user_the_device_stays_as_it_is(
    device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm.pwd, "getpwnam", lambda name: {}[name])
    kvm.open_up(tmp_path / "saved")
    assert stat.S_IMODE(device.stat().st_mode) == 0o600
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    ("said", "runs"),
    [(b"VFS: Unable to mount root fs on unknown-block(0,0)", True), (b"KVM internal error", False)],
)
def test_it_runs_if_a_kernel_boots(
    device: Path, monkeypatch: pytest.MonkeyPatch, said: bytes, *, runs: bool
) -> None:
    device.chmod(0o666)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=said))
    assert kvm.runs(Path("vmlinuz")) is runs
    device.unlink()
    assert not kvm.runs(Path("vmlinuz"))

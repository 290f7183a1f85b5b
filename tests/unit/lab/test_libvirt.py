"""libvirt's programs and what they say."""

import os
from pathlib import Path

import pytest

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import libvirt


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(libvirt, "ROOT", tmp_path)
    monkeypatch.setattr(libvirt.kvm, "open_up", lambda _saved: None)
    monkeypatch.setattr(libvirt, "run", lambda *command: commands.append(command) or "")
    return commands


def test_a_libvirt_that_answers_is_used(monkeypatch: pytest.MonkeyPatch, ran: list[tuple[str, ...]]) -> None:
    monkeypatch.setattr(libvirt, "_answers", lambda: True)
    libvirt.ensure()
    assert not ran


def test_daemons_are_started_where_none_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ran: list[tuple[str, ...]]
) -> None:
    monkeypatch.setattr(libvirt, "_answers", lambda: bool(ran))
    monkeypatch.setattr(libvirt, "_SYSTEMD", tmp_path / "none")
    libvirt.ensure()
    assert [command[0] for command in ran] == ["virtlogd", "libvirtd"]


def test_systemd_is_not_meddled_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ran: list[tuple[str, ...]]
) -> None:
    monkeypatch.setattr(libvirt, "_answers", lambda: False)
    monkeypatch.setattr(libvirt, "_SYSTEMD", tmp_path)
    with pytest.raises(LabError, match="libvirt does not answer") as caught:
        libvirt.ensure()
    assert "systemctl start" in caught.value.hint
    assert not ran


def test_a_machine_runs_only_if_its_process_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirt, "_PIDS", tmp_path)
    assert libvirt.process("vm") is None
    (tmp_path / "vm.pid").write_text(str(os.getpid()))
    assert libvirt.process("vm") is None, "a number that another process has by now"


def test_only_machines_of_the_lab_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirt, "virsh", lambda *_: "k8slab1-master1\n\nk8slab10-master1\nmine\n")
    assert libvirt.domains("k8slab1-") == ["k8slab1-master1"]


def test_daemons_of_others_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirt, "ROOT", tmp_path)
    monkeypatch.setattr(libvirt.os, "kill", lambda *_: pytest.fail("killed"))
    libvirt.stop_own()
    (tmp_path / "libvirtd.pid").write_text(str(os.getpid()))  # a number that another process has by now
    monkeypatch.setattr(libvirt, "_SAVED_KVM", tmp_path / "kvm")
    libvirt.stop_own()
    assert not (tmp_path / "libvirtd.pid").exists()

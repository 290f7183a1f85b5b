"""Which hosts a lab has, and what it refuses."""

import fcntl
import os
from dataclasses import replace
from pathlib import Path

import pytest

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import model, nspawn, operations
from k8sbootstrap.lab.operations import Wanted


@pytest.fixture(autouse=True)
def _no_other_labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "ROOT", tmp_path / "root")


def _wanted(masters: int, workers: int, etcd: int = 0, os_name: str = "debian12") -> Wanted:
    return Wanted(masters, workers, etcd, os_name, "1.37.2", "docker", ())


def test_hosts_are_named_by_role_and_numbered_through() -> None:
    hosts = operations.hosts_of(_wanted(3, 2, 1))
    assert [host.name for host in hosts] == ["master1", "master2", "master3", "worker1", "worker2", "etcd1"]
    assert [host.index for host in hosts] == [1, 2, 3, 4, 5, 6]
    assert [host.roles for host in hosts[2:]] == [("master",), ("worker",), ("worker",), ("etcd",)]


def test_without_workers_masters_work() -> None:
    assert [host.roles for host in operations.hosts_of(_wanted(1, 0))] == [("master", "worker")]


def test_another_lab_in_the_same_place_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    lab = operations._lab(file, _wanted(1, 1))
    assert operations._lab(file, _wanted(1, 1)) == lab
    others = (_wanted(3, 2), _wanted(1, 1, os_name="debian13"), replace(_wanted(1, 1), provider="vagrant"))
    for other in others:
        with pytest.raises(LabError, match="already a different lab here") as caught:
            operations._lab(file, other)
        assert "lab down" in caught.value.hint


def test_it_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations.os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="only root can") as caught:
        operations.up(tmp_path / "cluster.yaml", _wanted(1, 1), print)
    assert "sudo" in caught.value.hint


def test_down_without_a_lab_does_nothing(tmp_path: Path) -> None:
    assert not operations.down(tmp_path / "cluster.yaml")


def test_only_one_command_at_a_time_changes_a_lab(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    with operations._alone(file):
        probe = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(probe)


def test_a_lab_whose_folder_was_removed_can_still_be_taken_down(tmp_path: Path) -> None:
    with operations._alone(tmp_path / "removed" / "cluster.yaml"):
        assert not (tmp_path / "removed").exists()


def test_hosts_that_do_not_run_cannot_be_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    operations._lab(file, _wanted(1, 1))
    assert [host.state for host in operations.status(file)] == ["stopped", "stopped"]
    with pytest.raises(LabError, match="worker1 is not running"):
        operations.partition(file, ["worker1"])


def test_a_host_that_is_just_starting_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its network interface is down for a moment, as that of a host that was cut off."""
    lab = operations._lab(tmp_path / "cluster.yaml", _wanted(1, 2))
    starting, cut_off, running = lab.hosts
    down = {cut_off}
    waited_for: list[model.LabHost] = []
    monkeypatch.setattr(nspawn, "is_running", lambda _lab, host: host != starting)
    monkeypatch.setattr(nspawn, "start", lambda _lab, hosts: down.update(hosts))
    monkeypatch.setattr(operations, "_is_cut_off", lambda _lab, host: host in down)
    monkeypatch.setattr(operations, "wait_for_ssh", lambda _lab, hosts: waited_for.extend(hosts))
    operations._boot(lab, lab.hosts)
    assert waited_for == [starting, running]

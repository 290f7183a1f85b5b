"""Finding and removing cgroups of hosts."""

from pathlib import Path

import pytest

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import cgroups


@pytest.fixture(autouse=True)
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders stand in for cgroups: both are removed by rmdir, bottom up, and only when empty."""
    for name in ("cpu", "memory"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(cgroups, "_TOP", tmp_path)
    return tmp_path


def test_version_2_has_its_controllers_at_the_top(top: Path) -> None:
    assert not cgroups.is_v2()
    (top / "cgroup.controllers").write_text("")
    assert cgroups.is_v2()


def test_a_host_is_removed_with_all_below_it_and_no_other(top: Path) -> None:
    (top / "cpu/k8slab0-worker1/kubepods/pod1").mkdir(parents=True)
    (top / "memory/limit/k8slab0-worker1/docker").mkdir(parents=True)
    (top / "cpu/k8slab0-worker10/docker").mkdir(parents=True)
    cgroups.remove("k8slab0-worker1")
    left = sorted(str(path.relative_to(top)) for path in top.rglob("*"))
    assert left == ["cpu", "cpu/k8slab0-worker10", "cpu/k8slab0-worker10/docker", "memory", "memory/limit"]


def test_a_lab_is_removed_whatever_its_hosts_are_called(top: Path) -> None:
    for name in ("k8slab1-master1", "k8slab1-worker1", "k8slab10-master1"):
        (top / "cpu" / name).mkdir()
    cgroups.remove("k8slab1-*")
    assert [path.name for path in (top / "cpu").iterdir()] == ["k8slab10-master1"]


def test_one_that_stays_busy_is_named(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_SECONDS_TO_DIE", 0.1)
    (top / "cpu/k8slab0-worker1/docker").mkdir(parents=True)
    (top / "cpu/k8slab0-worker1/docker/file").write_text("")
    with pytest.raises(LabError, match="cpu/k8slab0-worker1/docker can't be removed"):
        cgroups.remove("k8slab0-worker1")


def test_what_runs_in_a_group_is_killed_but_never_this_process_group(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(cgroups.os, "kill", lambda pid, _: killed.append(pid))
    (top / "cgroup.procs").write_text("0\n4711\n4712\n")
    cgroups._kill_all(top)
    assert sorted(killed) == [4711, 4712]

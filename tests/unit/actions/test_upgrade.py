"""Upgrades in up and plan: refused before anything is fetched or changed, or let through with a snapshot."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from k8sbootstrap.actions import upgrade
from k8sbootstrap.actions.snapshot import Snapshot
from k8sbootstrap.actions.upgrade import Upgrading
from k8sbootstrap.checks import framework
from k8sbootstrap.errors import PreflightError
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.session import Run, running
from k8sbootstrap.state import State
from k8sbootstrap.survey.status.models import ClusterStatus, NodeStatus
from k8sbootstrap.survey.todo import Survey, Work
from k8sbootstrap.survey.upgrade.observe import Running
from tests.cluster_yaml import cluster_yaml

CLUSTER = cluster_yaml("master1")
POOL = Pool()
TODO = Survey({"master1": {"kube_apiserver": Work(("configuration",)), "kubelet": Work(("configuration",))}})


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    return load_plan(tmp_path / "cluster.yaml")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    reporter = Reporter(Console(file=io.StringIO(), soft_wrap=True))
    with running(State.beside(tmp_path / "cluster.yaml", "demo"), "k8sbootstrap up", reporter) as started:
        yield started


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Running]:
    """What each look finds, the last one for ever; what was looked at is taken off."""
    found: list[Running] = []
    monkeypatch.setattr(upgrade, "look_at", lambda *_: found.pop(0) if len(found) > 1 else found[0])
    monkeypatch.setattr(framework.time, "sleep", lambda _: None)
    return found


def cluster(version: str, *, ready: bool = True) -> Running:
    nodes = (NodeStatus("master1", ready, "" if ready else "not Ready", planned=True, version=version),)
    status = ClusterStatus("demo", "", "", "", (), (), nodes)
    return Running(status, {"master1": version})


def inventory(tmp_path: Path, version: str) -> Path:
    (tmp_path / "inventory/group_vars").mkdir(parents=True)
    (tmp_path / "inventory/group_vars/all.yml").write_text(f"node_drain_version: {version}\n")
    return tmp_path / "inventory"


def said(run: Run) -> str:
    assert isinstance(run.reporter.console.file, io.StringIO)
    return run.reporter.console.file.getvalue()


def test_a_step_that_is_not_allowed_is_refused_before_files_are_fetched(
    plan: ClusterPlan, run: Run, looks: list[Running], tmp_path: Path
) -> None:
    looks.append(cluster("1.34.9"))
    with pytest.raises(
        PreflightError, match=r"(?s)nothing was changed.*upgrade-version: from 1\.34\.9 to 1\.36\.2"
    ):
        Upgrading(run, plan, POOL).refuse_early(inventory(tmp_path, "1.34.9"))


@pytest.mark.parametrize("version", ["1.36.2", "''"])
def test_the_same_release_costs_no_look(
    plan: ClusterPlan, run: Run, looks: list[Running], tmp_path: Path, version: str
) -> None:
    Upgrading(run, plan, POOL).refuse_early(inventory(tmp_path, version))
    Upgrading(run, plan, POOL).refuse_early(tmp_path / "none")
    assert "Upgrade" not in said(run)


def test_an_upgrade_is_found_said_and_secured(
    plan: ClusterPlan, run: Run, looks: list[Running], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks.append(cluster("1.35.6"))
    taken: list[Any] = []
    monkeypatch.setattr(
        upgrade,
        "take_snapshot",
        lambda *arguments: taken.append(arguments) or Snapshot("master1", "/x.db", 3_000_000),
    )
    upgrading = Upgrading(run, plan, POOL)
    upgrading.refuse_early(inventory(tmp_path, "1.35.6"))
    looks.clear()  # nothing is asked twice
    todo = upgrading.found_in(TODO)
    assert todo.upgrade is not None
    assert (todo.upgrade.before, todo.upgrade.masters) == (("1.35.6",), ("master1",))
    upgrading.snapshot(todo)
    assert taken[0][-1] is todo.upgrade
    assert "Upgrade: Kubernetes is upgraded from 1.35.6 to 1.36.2" in said(run)
    assert "Snapshot of etcd: 3.0 MB on master1: /x.db" in said(run)


def test_other_changes_are_no_upgrade_and_not_checked(
    plan: ClusterPlan, run: Run, looks: list[Running]
) -> None:
    looks.append(cluster("1.36.2", ready=False))
    upgrading = Upgrading(run, plan, POOL)
    todo = upgrading.found_in(TODO)
    assert todo.upgrade is None
    upgrading.snapshot(todo)
    assert "Snapshot" not in said(run)


def test_drift_costs_no_look(plan: ClusterPlan, run: Run) -> None:
    todo = Survey({"master1": {"kubelet": Work(("drift",))}})
    assert Upgrading(run, plan, POOL).found_in(todo) is todo


def test_what_has_not_settled_is_waited_for(plan: ClusterPlan, run: Run, looks: list[Running]) -> None:
    looks += [cluster("1.35.6", ready=False), cluster("1.35.6")]
    assert Upgrading(run, plan, POOL).found_in(TODO).upgrade is not None


def test_what_does_not_settle_is_refused(
    plan: ClusterPlan, run: Run, looks: list[Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framework, "SETTLE", 0.0)
    looks.append(cluster("1.35.6", ready=False))
    with pytest.raises(PreflightError, match="upgrade-nodes: master1: not Ready"):
        Upgrading(run, plan, POOL).found_in(TODO)
    found = Upgrading(run, plan, POOL, ["upgrade-nodes"]).found_in(TODO)
    assert found == replace(TODO, upgrade=found.upgrade)
    assert "upgrade-nodes: ignored: master1: not Ready" in said(run)

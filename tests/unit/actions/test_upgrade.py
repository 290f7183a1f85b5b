"""Upgrades in up and plan: refused before anything is fetched or changed, or let through with a snapshot."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from k8sbootstrap.actions import upgrade
from k8sbootstrap.actions.context import RunContext
from k8sbootstrap.actions.snapshot import Snapshot
from k8sbootstrap.actions.step import take
from k8sbootstrap.actions.up import UP
from k8sbootstrap.checks import framework
from k8sbootstrap.errors import HostError, PreflightError
from k8sbootstrap.state import State
from k8sbootstrap.survey.status.models import ClusterStatus, NodeStatus
from k8sbootstrap.survey.todo import Survey, Work
from k8sbootstrap.survey.upgrade.observe import Running

from .conftest import MakeContext

TODO = Survey({"master1": {"kube_apiserver": Work(("configuration",)), "kubelet": Work(("configuration",))}})
CHECK = [step for step in UP if step.name == "upgrade"]
"""Both: before files are fetched, and when it is known what is to do."""
STEPS = [step for step in UP if step.name in {"upgrade_found", "snapshot"}]


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


def upgrade_of(context: RunContext, todo: Survey, before: str = "") -> RunContext:
    """Take the steps of upgrades, the last run having been for the release ``before``."""
    context.last_release = before
    take(CHECK[:1], context, context.run.step)
    context.todo = todo
    take([*CHECK[1:], *STEPS], context, context.run.step)
    return context


def test_a_step_that_is_not_allowed_is_refused_before_files_are_fetched(
    new_context: MakeContext, looks: list[Running]
) -> None:
    looks.append(cluster("1.34.9"))
    context = new_context()
    context.last_release = "1.34.9"
    with pytest.raises(
        PreflightError, match=r"(?s)nothing was changed.*upgrade-version: from 1\.34\.9 to 1\.36\.2"
    ):
        take(CHECK[:1], context, context.run.step)


@pytest.mark.parametrize("before", ["1.36.2", ""])
def test_the_same_release_costs_no_look(
    new_context: MakeContext, shown: Callable[[], str], before: str
) -> None:
    upgrade_of(new_context(), Survey({}), before)
    assert "Upgrade" not in shown()


def test_the_release_of_the_last_run_is_in_its_inventory(new_context: MakeContext, state: State) -> None:
    assert (new_context().last_release, new_context().is_first) == ("", True)
    (state.inventory / "group_vars").mkdir(parents=True)
    (state.inventory / "group_vars/all.yml").write_text("node_drain_version: 1.34.9\n")
    assert (new_context().last_release, new_context().is_first) == ("1.34.9", False)


def test_an_upgrade_is_found_said_and_secured(
    new_context: MakeContext,
    shown: Callable[[], str],
    looks: list[Running],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks += [cluster("1.35.6"), cluster("1.0.0")]  # nothing is asked twice
    taken: list[Any] = []
    monkeypatch.setattr(
        upgrade,
        "take_before_upgrade",
        lambda *arguments: taken.append(arguments) or Snapshot("master1", "/x.db", 3_000_000),
    )
    todo = upgrade_of(new_context(), TODO, "1.35.6").todo
    assert todo.upgrade is not None
    assert (todo.upgrade.before, todo.upgrade.masters) == (("1.35.6",), ("master1",))
    assert taken[0][-1] is todo.upgrade
    assert "Upgrade: Kubernetes is upgraded from 1.35.6 to 1.36.2" in shown()
    assert "Snapshot of etcd: 3.0 MB on master1: /x.db" in shown()


def test_other_changes_are_no_upgrade_and_not_checked(
    new_context: MakeContext, shown: Callable[[], str], looks: list[Running]
) -> None:
    looks.append(cluster("1.36.2", ready=False))
    assert upgrade_of(new_context(), TODO).todo is TODO
    assert "Snapshot" not in shown()


def test_drift_costs_no_look(new_context: MakeContext) -> None:
    todo = Survey({"master1": {"kubelet": Work(("drift",))}})
    assert upgrade_of(new_context(), todo).todo is todo


def test_where_nobody_answers_the_next_look_says_so(
    new_context: MakeContext, shown: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(*_: object) -> Running:
        raise HostError("no master answers")

    monkeypatch.setattr(upgrade, "look_at", look)
    context = new_context()
    with pytest.raises(HostError, match="no master answers"):
        upgrade_of(context, TODO, "1.35.6")
    assert context.todo is TODO
    assert shown().count("Upgrade checks: failed") == 2


def test_what_has_not_settled_is_waited_for(new_context: MakeContext, looks: list[Running]) -> None:
    looks += [cluster("1.35.6", ready=False), cluster("1.35.6")]
    context = new_context()
    context.todo = TODO
    take([*CHECK[1:], STEPS[0]], context, context.run.step)
    assert context.todo.upgrade is not None


def test_what_does_not_settle_is_refused(
    new_context: MakeContext,
    shown: Callable[[], str],
    looks: list[Running],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(framework, "SETTLE", 0.0)
    looks.append(cluster("1.35.6", ready=False))
    context, ignoring = new_context(), new_context(ignore_preflight=["upgrade-nodes"])
    context.todo = ignoring.todo = TODO
    with pytest.raises(PreflightError, match="upgrade-nodes: master1: not Ready"):
        take(CHECK[1:], context, context.run.step)
    take([*CHECK[1:], STEPS[0]], ignoring, ignoring.run.step)
    assert ignoring.todo == replace(TODO, upgrade=ignoring.todo.upgrade)
    assert "upgrade-nodes: ignored: master1: not Ready" in shown()


@pytest.mark.parametrize(("last", "runs"), [("1.35.6", "1.36.2"), ("", "1.35.6")])
def test_only_up_upgrades_also_where_no_earlier_run_is_known(
    new_context: MakeContext, looks: list[Running], last: str, runs: str
) -> None:
    context = new_context()
    context.last_release = last
    looks.append(cluster(runs))
    with pytest.raises(PreflightError, match=r"version: 1\.36\.2, and .* 1\.35\.6\. Nothing"):
        upgrade.require_same_release(context)
    context.last_release = ""
    looks[:] = [cluster("1.36.2")]
    upgrade.require_same_release(context)

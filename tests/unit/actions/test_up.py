"""Which steps up and plan take, by what they find. What each step does is tested where it is."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.plan import PLAN
from k8sbootstrap.actions.step import Step, StepReporter, take
from k8sbootstrap.actions.up import UP, run_up
from k8sbootstrap.errors import HostError, LockedError
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.session import Run
from k8sbootstrap.state import State
from k8sbootstrap.survey.status.models import ClusterStatus, NodeStatus
from k8sbootstrap.survey.todo import Survey, Work
from k8sbootstrap.survey.upgrade.observe import Running

from .conftest import MakeContext

NEW = Survey({"master1": {"etcd": Work(("new",))}}, exists=False)
CHANGED = Survey(
    {"master1": {"kube_apiserver": Work(("configuration",)), "kubelet": Work(("configuration",))}}
)
DRIFT = Survey({"worker1": {"kubelet": Work(("drift",))}})
NOTHING = Survey({})
LOST = Survey({}, {"worker1": HostError("worker1 (10.0.0.21): no answer within 10 s")})
OLD, CURRENT = "1.35.6", "1.36.2"

BEFORE = ["look"]
PREPARED = ["artifacts", "pki", "inventory", "compare"]
CHANGING = ["remember", "install", "verify"]


def cluster(version: str) -> Running:
    """A cluster whose only master runs a release."""
    node = NodeStatus("master1", True, "", planned=True, version=version)  # noqa: FBT003
    return Running(ClusterStatus("demo", "", "", "", (), (), (node,)), {"master1": version})


def runs_before(context: RunContext, release: str) -> RunContext:
    """A context after runs for a release, which left certificate authorities."""
    context.state.pki.mkdir(parents=True)
    (context.state.pki / "ca.crt").touch()
    return replace(context, has_no_inventory=False, last_release=release)


def taken(steps: Sequence[Step[RunContext]], context: RunContext, todo: Survey, runs: str = "") -> list[str]:
    """Names of the steps that are taken where ``todo`` is found, and the cluster runs a release."""
    names: list[str] = []

    def noted(step: Step[RunContext]) -> Step[RunContext]:
        def do(context: RunContext, reporter: StepReporter) -> None:
            names.append(step.name)
            if step.name == "compare":
                context.todo = todo
            elif step.name == "upgrade":
                context.running = cluster(runs)
            elif step.name == "upgrade_found":
                step.do(context, reporter)

        return replace(step, do=do)

    take([noted(step) for step in steps], context, context.run.step)
    return names


def test_a_new_cluster(new_context: MakeContext) -> None:
    assert taken(UP, new_context(), NEW) == [
        *BEFORE,
        "preflight",  # before files are fetched
        "authorities",
        *PREPARED,
        "confirm",
        *CHANGING,
        "require_all",
    ]


@pytest.mark.parametrize(("todo", "runs"), [(NOTHING, ""), (LOST, "")])
def test_nothing_to_do(new_context: MakeContext, todo: Survey, runs: str) -> None:
    context = runs_before(new_context(), CURRENT)
    assert taken(UP, context, todo, runs) == [*BEFORE, *PREPARED, "remember", "require_all"]


@pytest.mark.parametrize(("todo", "looked"), [(DRIFT, []), (CHANGED, ["upgrade"])])
def test_a_change(new_context: MakeContext, todo: Survey, looked: list[str]) -> None:
    """Only what may be an upgrade makes it worth asking what runs."""
    context = runs_before(new_context(), CURRENT)
    checked = [*looked, "preflight", "authorities", "confirm"]
    assert taken(UP, context, todo, CURRENT) == [*BEFORE, *PREPARED, *checked, *CHANGING, "require_all"]


def test_a_state_directory_that_lost_its_authorities(new_context: MakeContext) -> None:
    context = replace(new_context(), has_no_inventory=False, last_release=CURRENT)
    assert taken(UP, context, NOTHING) == [*BEFORE, "authorities", *PREPARED, "remember", "require_all"]


@pytest.mark.parametrize(
    ("last", "before", "after"),
    [
        (
            OLD,
            ["upgrade"],
            [],
        ),  # refused before files are fetched
        (CURRENT, [], ["upgrade"]),  # the last run was stopped midway
        ("", [], ["upgrade"]),
    ],
)
def test_an_upgrade(new_context: MakeContext, last: str, before: list[str], after: list[str]) -> None:
    context = runs_before(new_context(), last)
    assert taken(UP, context, CHANGED, OLD) == [
        *BEFORE,
        *before,
        *PREPARED,
        *after,
        "upgrade_found",
        "preflight",
        "authorities",
        "confirm",
        "snapshot",
        *CHANGING,
        "require_all",
    ]
    assert context.todo.upgrade is not None


@pytest.mark.parametrize("first", [True, False])
def test_a_plan_changes_nothing(new_context: MakeContext, first: bool) -> None:  # noqa: FBT001
    context = new_context() if first else runs_before(new_context(), OLD)
    found = ["authorities"] if first else ["upgrade"]
    upgrade = [] if first else ["upgrade_found"]
    assert taken(PLAN, context, NEW if first else CHANGED, OLD) == [
        "host_keys",
        *BEFORE,
        *found,
        *PREPARED,
        *upgrade,
        "rehearse",
    ]
    assert {"preflight", "snapshot", "install", "verify"}.isdisjoint(step.name for step in PLAN)


def test_plan_takes_no_step_that_up_does_not_take() -> None:
    def parts(steps: Sequence[Step[RunContext]]) -> set[tuple[str, str, Any]]:
        return {(step.name, step.title, step.do) for step in steps}

    # up gets to know hosts before its steps, with all commands that change hosts
    assert {name for name, _, _ in parts(PLAN) - parts(UP)} == {"host_keys", "rehearse"}


def test_who_says_no_changes_nothing(new_context: MakeContext) -> None:
    names = [step.name for step in UP]
    assert names.index("confirm") < min(names.index(name) for name in ("snapshot", "install"))


def test_nothing_is_done_without_the_lock(
    plan: ClusterPlan, cluster_file: Path, state: State, run: Run
) -> None:
    with pytest.raises(LockedError):
        run_up(plan, cluster_file, RunOptions(), run.reporter)

"""Which steps remove takes for a host, and what it leaves in the state directory."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.remove import RemoveContext, forget, lines_of, look, of_host
from k8sbootstrap.checks.removal import Departure
from k8sbootstrap.config.past_hosts import PastHost, remember, remembered
from k8sbootstrap.errors import PreflightError
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.session import Run
from k8sbootstrap.state import State
from k8sbootstrap.survey.etcd_voters import Voters
from tests.unit.hosts.sessions import unreachable

if TYPE_CHECKING:
    from k8sbootstrap.actions.step import Step


def departure(plan: ClusterPlan, name: str, **other: Any) -> Departure:
    host = next(host for host in plan.hosts if host.name == name)
    fields: dict[str, Any] = {
        "silent": False,
        "installed": True,
        "is_node": True,
        "is_member": host.is_etcd,
        "healthy": True,
        "before": Voters(3, 3),
        "after": Voters(2, 2),
    }
    return Departure(host, **fields | other)


def names(departed: Departure) -> list[str]:
    return [step.name for step in of_host(departed)]


def test_steps_of_a_master(plan: ClusterPlan) -> None:
    assert names(departure(plan, "master1")) == ["drain", "stop", "etcd", "stop_etcd", "node"]


def test_steps_of_a_worker(plan: ClusterPlan) -> None:
    assert names(departure(plan, "worker1")) == ["drain", "stop", "node"]


def test_steps_of_the_dead(plan: ClusterPlan) -> None:
    assert names(departure(plan, "master1", installed=False)) == ["etcd", "node"]
    assert names(departure(plan, "worker1", installed=False)) == ["node"]


def test_what_is_done_already_is_not_done_again(plan: ClusterPlan) -> None:
    gone = departure(plan, "master1", is_node=False, is_member=False)
    assert names(gone) == ["stop", "stop_etcd", "node"]


def test_what_is_said_before(plan: ClusterPlan) -> None:
    dead = departure(plan, "worker1", installed=False)
    assert lines_of([departure(plan, "master1"), dead]) == [
        (
            "master1: its pods move to other nodes, its control plane stops, its member leaves etcd, its "
            "Node is deleted, all that was installed there is removed"
        ),
        "etcd: master1 leaves: 3 members, of which 1 may fail, become 2, of which 0 may fail",
        "worker1: its pods are deleted by force, its Node is deleted, the host itself is not touched",
    ]


@pytest.fixture
def context(plan: ClusterPlan, cluster_file: Path, run: Run) -> RemoveContext:
    return RemoveContext.begin(plan, cluster_file, run, Pool(unreachable), RunOptions())


@pytest.mark.parametrize("dead", [False, True])
def test_nothing_that_is_secret_stays(context: RemoveContext, state: State, *, dead: bool) -> None:
    for name in ("master1", "worker1"):
        (state.pki / "hosts" / name).mkdir(parents=True)
    lines = ["10.0.0.11 ssh-ed25519 AAAA\n", "10.0.0.21 ssh-ed25519 BBBB\n"]
    state.known_hosts.write_text("".join(lines))
    remember(state, [PastHost(host, is_etcd=False) for host in context.plan.config.hosts])
    context.dead = dead
    context.departures = (departure(context.plan, "worker1"),)
    with context.run.step("forget", "State directory") as step:
        forget(context, step)
    assert [path.name for path in (state.pki / "hosts").iterdir()] == ["master1"]
    assert list(remembered(state)) == ["master1"]
    assert state.known_hosts.read_text() == "".join(lines[:1] if dead else lines)


def test_no_upgrade_along_the_way(context: RemoveContext) -> None:
    other = replace(context, last_release="1.35.1")
    with context.run.step("look", "Look") as step, pytest.raises(PreflightError, match=r"1\.35\.1"):
        look(other, step)


def test_steps_have_the_name_of_the_host(plan: ClusterPlan) -> None:
    steps: list[Step[RemoveContext]] = list(of_host(departure(plan, "worker1")))
    assert all("worker1" in step.title for step in steps)

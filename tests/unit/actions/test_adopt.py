"""What adopt shows, takes and refuses. How CAs are read back and checked is tested with them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.actions import adopt
from k8sbootstrap.actions.adopt import ADOPT, AdoptContext
from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.step import take
from k8sbootstrap.config.past_hosts import remembered
from k8sbootstrap.errors import HostError, PreflightError, StateError
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.pki.offer import KEPT
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.session import Run
from k8sbootstrap.state import State
from k8sbootstrap.survey.authorities import Found
from k8sbootstrap.survey.etcd_members import EtcdReport
from k8sbootstrap.survey.record import HostFinding
from k8sbootstrap.survey.status.models import ClusterStatus, NodeStatus
from k8sbootstrap.survey.todo import HostFindings
from k8sbootstrap.survey.upgrade.observe import Running
from tests.unit.hosts.sessions import AnsweredPool

LOST = HostError("worker1 (192.0.2.21): no answer within 10 s")
DOWN = HostError("master1 (192.0.2.11): no answer within 10 s")


def finding(cluster: str, **fields: Any) -> HostFinding:
    empty: dict[str, Any] = {"digests": {}, "drift": {}, "routes": {}, "pod_cidrs": None, "api_error": ""}
    return HostFinding(cluster=cluster, **{**empty, **fields})


@pytest.fixture
def held(plan: ClusterPlan, state: State) -> dict[str, bytes]:
    """What the master has of a PKI that was made here; the state directory is lost."""
    ensure_pki(plan, state)
    files = {name: (state.pki / name).read_bytes() for name in KEPT}
    shutil.rmtree(state.pki)
    state.kubeconfig.unlink()
    return files


Adopted = Callable[..., AdoptContext]


@pytest.fixture
def adopted(
    plan: ClusterPlan, cluster_file: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Adopted]:
    """Takes the steps, with hosts and a master that have this."""

    def do(found: HostFindings, files: dict[str, bytes], *, allowed: bool = True, there: bool = False) -> Any:
        node = NodeStatus("master1", True, "", planned=True, version="1.35.6")  # noqa: FBT003
        runs = Running(ClusterStatus("demo", "", "", "", (), (), (node,)), {"master1": "1.35.6"})
        monkeypatch.setattr(adopt, "look_at_hosts", lambda *_: found)
        monkeypatch.setattr(adopt, "look_at", lambda *_: runs)
        pool = AnsweredPool({"master1": Found("demo", files)})
        options = RunOptions(allow_authorities=lambda _: allowed)
        context = AdoptContext.begin(plan, cluster_file, run, pool, options)
        context.was_there = there
        take([step for step in ADOPT if step.name != "host_keys"], context, run.step)
        return context

    return do


BOTH = HostFindings({"master1": finding("demo"), "worker1": finding("demo")})


def test_all_that_this_machine_needs_is_there_again(
    adopted: Adopted, held: dict[str, bytes], state: State, plan: ClusterPlan, shown: Callable[[], str]
) -> None:
    adopted(BOTH, held)
    assert {name: (state.pki / name).read_bytes() for name in KEPT} == held
    assert state.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert state.directory.stat().st_mode & 0o777 == 0o700
    assert set(remembered(state)) == {"master1", "worker1"}
    assert "hosts in the cluster: master1, worker1" in shown()
    assert "Kubernetes 1.35.6" in shown()
    assert f"cluster.yaml says kubernetes.version: {plan.release.version}" in shown()
    assert "etcd/ca: SHA-256" in shown()


def test_what_is_not_as_it_should_be_is_shown(
    adopted: Adopted, held: dict[str, bytes], shown: Callable[[], str], state: State
) -> None:
    """It is no reason not to take the state: with it the operator can do something about it."""
    restoring = EtcdReport(cluster="demo", restoring="restore-20261130T100000Z")
    found = HostFindings({"master1": finding("demo", etcd=restoring)}, {"worker1": LOST})
    adopted(found, held)
    assert "not reached: worker1 (192.0.2.21): no answer" in shown()
    assert "plan and up will refuse: a restore of etcd was begun on master1" in shown()
    assert set(remembered(state)) == {"master1"}


REFUSED = [
    (HostFindings({"worker1": finding("demo")}, {"master1": DOWN}), HostError, "no master .* answers"),
    (HostFindings({"master1": finding("")}), PreflightError, "master1 belongs to no cluster"),
    (HostFindings({"master1": finding("other")}), PreflightError, "master1 belongs to other"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[2])
def test_nothing_is_taken_without_a_master_of_the_cluster(
    adopted: Adopted, held: dict[str, bytes], state: State, case: tuple[HostFindings, type[Exception], str]
) -> None:
    found, kind, said = case
    with pytest.raises(kind, match=f"(?s){said}"):
        adopted(found, held)
    assert not state.pki.exists()


def test_nothing_is_made_where_masters_have_nothing(adopted: Adopted, state: State) -> None:
    with pytest.raises(PreflightError, match="has certificate authorities yet"):
        adopted(BOTH, {})
    assert not state.pki.exists()


def test_nothing_is_taken_that_was_not_allowed(
    adopted: Adopted, held: dict[str, bytes], state: State
) -> None:
    with pytest.raises(StateError, match="were not taken over"):
        adopted(BOTH, held, allowed=False)
    assert not state.pki.exists()
    assert not state.kubeconfig.exists()


def test_a_state_that_is_there_is_only_compared(
    adopted: Adopted, held: dict[str, bytes], state: State, plan: ClusterPlan, shown: Callable[[], str]
) -> None:
    adopted(BOTH, held)
    before = {path: path.read_bytes() for path in state.pki.rglob("*") if path.is_file()}
    adopted(BOTH, held, there=True)
    assert f"{state.pki} has the same as master1" in shown()
    second = State(state.directory.with_name("second"))
    ensure_pki(plan, second)
    other = held | {"sa.pub": (second.pki / "sa.pub").read_bytes()}
    with pytest.raises(
        StateError, match=r"(?s)other certificate authorities or keys.*master1: sa\.pub is not"
    ):
        adopted(BOTH, other, there=True)
    assert {path: path.read_bytes() for path in before} == before


def test_one_that_was_stopped_is_completed(adopted: Adopted, held: dict[str, bytes], state: State) -> None:
    adopted(BOTH, held)
    state.kubeconfig.unlink()
    state.hosts.unlink()
    adopted(BOTH, held)
    assert state.kubeconfig.exists()
    assert state.hosts.exists()

"""Which hosts may be taken out, and in which order."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from k8sbootstrap.checks.removal import Departure, order
from k8sbootstrap.errors import HostError, PreflightError
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.etcd_voters import EtcdNow, Voters
from k8sbootstrap.survey.record import HostFinding
from k8sbootstrap.survey.todo import HostFindings
from tests.cluster_yaml import cluster_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

HOSTS = ("m1", "m2", "m3", "w1", "w2")


def make(folder: Path, *hosts: str, **keys: str) -> ClusterPlan:
    (folder / "cluster.yaml").write_text(cluster_yaml(*hosts, **keys))
    return load_plan(folder / "cluster.yaml")


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    return make(tmp_path, *HOSTS)


class Case:
    """A cluster in which all is well, but for what a test says."""

    def __init__(self, plan: ClusterPlan) -> None:
        self.plan = plan
        self.down: set[str] = set()
        """Hosts that don't answer."""
        self.bare: set[str] = set()
        """Hosts that answer and have nothing."""
        self.ill: set[str] = set()
        """Hosts that answer, and whose members are not healthy."""
        self.gone: set[str] = set()
        """Hosts that left etcd and have no Node."""
        self.learners: set[str] = set()
        self.other: Mapping[str, Any] = {}
        """What differs in what hosts report."""

    def findings(self) -> HostFindings:
        nodes = {host.name: "10.244.0.0/24" for host in self.plan.nodes if host.name not in self.gone}
        findings = {}
        for host in self.plan.hosts:
            if host.name not in self.down:
                fields: dict[str, Any] = {
                    "cluster": "" if host.name in self.bare else "demo",
                    "digests": {},
                    "drift": {},
                    "routes": {},
                    "pod_cidrs": nodes if host.is_master and host.name not in self.bare else None,
                    "api_error": "",
                }
                findings[host.name] = HostFinding(**fields | self.other.get(host.name, {}))
        lost = {name: HostError(f"{name}: no answer within 10 s") for name in self.down}
        return HostFindings(findings, lost)

    def etcd(self) -> EtcdNow:
        members = {host.name: str(host.private_address) for host in self.plan.etcd_members}
        there = {name: address for name, address in members.items() if name not in self.gone}
        sick = self.down | self.bare | self.ill
        healthy = frozenset(address for name, address in there.items() if name not in sick)
        return EtcdNow({address: name not in self.learners for name, address in there.items()}, healthy)

    def order(self, *names: str, dead: bool = False) -> tuple[Departure, ...]:
        return order(self.plan, names, self.findings(), self.etcd(), dead=dead)

    def refusal(self, *names: str, dead: bool = False) -> tuple[str, str]:
        with pytest.raises(PreflightError) as refused:
            self.order(*names, dead=dead)
        assert str(refused.value).endswith("\nNothing was changed.")
        return str(refused.value).removesuffix("\nNothing was changed."), refused.value.hint


@pytest.fixture
def case(plan: ClusterPlan) -> Case:
    return Case(plan)


def names(departures: tuple[Departure, ...]) -> list[str]:
    return [each.host.name for each in departures]


@pytest.mark.parametrize(
    ("number", "healthy", "alive", "ill"),
    [
        (1, 1, False, False),
        (2, 2, True, False),
        (2, 1, False, True),  # after it, yes; now there is no quorum, which the rules ask for first
        (3, 3, True, False),
        (3, 2, False, True),
        (3, 1, False, False),
        (4, 4, True, False),
        (4, 3, True, True),
        (4, 2, False, True),
        (5, 5, True, False),
        (5, 4, True, True),
        (5, 3, False, True),
        (5, 2, False, False),
        (7, 4, False, True),
    ],
)
def test_whether_those_that_stay_have_a_quorum(number: int, healthy: int, *, alive: bool, ill: bool) -> None:
    """``alive``: without a healthy member; ``ill``: without one that is not healthy, if there is one."""
    voters = Voters(number, healthy)
    assert voters.without(healthy=True).have_quorum is alive
    if healthy < number:
        assert voters.without(healthy=False).have_quorum is ill


@pytest.mark.parametrize(
    ("number", "healthy", "quorum", "may_fail"),
    [(1, 1, 1, 0), (2, 2, 2, 0), (3, 3, 2, 1), (3, 2, 2, 0), (3, 1, 2, 0), (4, 4, 3, 1), (5, 5, 3, 2)],
)
def test_how_many_may_fail(number: int, healthy: int, quorum: int, may_fail: int) -> None:
    voters = Voters(number, healthy)
    assert (voters.quorum, voters.may_fail) == (quorum, may_fail)


def test_a_worker(case: Case) -> None:
    (one,) = case.order("w1")
    assert (one.installed, one.is_node, one.is_member, one.before, one.after) == (
        True,
        True,
        False,
        Voters(3, 3),
        Voters(3, 3),
    )


def test_any_master_and_two_of_three(case: Case) -> None:
    for name in ("m1", "m2", "m3"):
        (one,) = case.order(name)
        assert (one.before, one.after) == (Voters(3, 3), Voters(2, 2))
    first, second = case.order("m3", "m1")
    assert [first.host.name, second.host.name] == ["m1", "m3"]
    assert (second.before, second.after) == (Voters(2, 2), Voters(1, 1))


def test_the_dead_go_first(case: Case) -> None:
    case.ill = {"m2"}
    assert names(case.order("m1", "m2")) == ["m2", "m1"]


def test_a_healthy_member_while_another_is_dead(case: Case) -> None:
    case.down = {"m2"}
    text, hint = case.refusal("m3")
    assert text == (
        "etcd would lose its quorum without m3: of the 2 members that stay 1 would be healthy, and 2 must be"
    )
    assert hint == (
        "Bring m2 back; or if dead for good, remove the dead first: k8sbootstrap remove m2 --dead. Then run "
        "the same command again."
    )


def test_how_many_of_them_are_safe_is_said(tmp_path: Path) -> None:
    case = Case(make(tmp_path, "m1", "m2", "m3", "m4", "m5"))
    case.down = {"m5"}
    text, hint = case.refusal("m1", "m2", "m3")
    assert text.startswith("after m1 and m2, etcd would lose its quorum without m3: of the 2 members")
    assert hint.startswith("It is safe to remove m1 and m2 first. Bring m5 back; or")


def test_without_a_quorum_no_member_leaves(case: Case) -> None:
    case.down = {"m2", "m3"}
    text, hint = case.refusal("m2", dead=True)
    assert text == "etcd has no quorum, so no member can leave: of 3 members only 1 are healthy"
    assert "etcd recover --survivor HOST" in hint


def test_a_learner_costs_no_quorum(case: Case) -> None:
    case.ill = case.learners = {"m3"}
    (one,) = case.order("m3")
    assert (one.is_member, one.before, one.after) == (True, Voters(2, 2), Voters(2, 2))


def test_the_last_master(case: Case) -> None:
    text, hint = case.refusal("m1", "m2", "m3")
    assert text == "m1, m2 and m3: no master would stay, and the cluster would be gone"
    assert "k8sbootstrap reset" in hint


def test_the_last_host_of_etcd(tmp_path: Path) -> None:
    text, _ = Case(make(tmp_path, "m1", "e1", "w1")).refusal("e1")
    assert text == "e1: no member of etcd would stay, and with it all data would be gone"


def test_the_host_of_the_image_registry(tmp_path: Path) -> None:
    text, hint = Case(make(tmp_path, "m1", "w1", registry="{host: w1}")).refusal("w1")
    assert text == "w1 has the cluster's image registry"
    assert "registry.host" in hint


def test_a_host_that_does_not_answer_takes_dead(case: Case) -> None:
    case.down = {"w1"}
    text, hint = case.refusal("w1", "w2")
    assert text == (
        "w1 can't be reached (w1: no answer within 10 s): its pods can't be moved, and it can't be reset"
    )
    assert hint.endswith("run k8sbootstrap remove w1 --dead. Then run k8sbootstrap remove w2.")
    (one,) = case.order("w1", dead=True)
    assert (one.silent, one.installed, one.is_node) == (True, False, True)


def test_an_empty_machine_in_the_place_of_a_dead_host(case: Case) -> None:
    case.bare = {"m2"}
    text, _ = case.refusal("m2")
    assert text.startswith("m2 answers, but has nothing of the cluster")
    (one,) = case.order("m2", dead=True)
    assert (one.installed, one.is_member, one.healthy, one.after) == (False, True, False, Voters(2, 2))


def test_a_host_that_answers_is_not_dead(case: Case) -> None:
    case.down = {"w1"}
    text, hint = case.refusal("w1", "w2", dead=True)
    assert text == "w2 answers: --dead is only for hosts that don't"
    assert hint == (
        "First run k8sbootstrap remove w1 --dead, then run k8sbootstrap remove w2 without --dead."
    )


def test_what_left_before(case: Case) -> None:
    """After a run that was killed: on a host, or nothing is left at all."""
    case.gone = {"m2"}
    (one,) = case.order("m2")
    assert (one.installed, one.is_node, one.is_member, one.is_to_do) == (True, False, False, True)
    case.bare = {"m2"}
    (one,) = case.order("m2")
    assert not one.is_to_do
    case.bare, case.down = set(), {"m2"}
    assert "may not be reset yet" in case.refusal("m2")[0]
    (one,) = case.order("m2", dead=True)
    assert not one.is_to_do


def test_no_api_server_that_stays_answers(case: Case) -> None:
    broken = {"pod_cidrs": None, "api_error": "kubectl get: connection refused"}
    case.other = {"m2": broken, "m3": broken}
    text, _ = case.refusal("m1")
    assert text.startswith("no API server answers on the masters that stay: kubectl get: connection refused")
    assert names(case.order("w1")) == ["w1"]


def test_a_host_of_another_cluster(case: Case) -> None:
    case.other = {"w1": {"cluster": "other"}}
    assert "w1 belongs to the cluster other, not to demo" in case.refusal("w1")[0]


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    case = Case(make(tmp_path, "m1", "w1"))
    case.bare = case.gone = {"m1", "w1"}
    assert "no API server answers on the masters that stay: m1" in case.refusal("w1")[0]
    assert "no master would stay" in case.refusal("m1")[0]

"""When etcd can be rebuilt, and which hosts take part."""

from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.checks.restoring import Rebuilt, rebuilt
from k8sbootstrap.errors import HostError, PreflightError
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.etcd_members import EtcdReport, Living
from k8sbootstrap.survey.etcd_voters import Voters
from k8sbootstrap.survey.record import HostFinding
from k8sbootstrap.survey.todo import HostFindings
from tests.unit.checks.cluster.healthy import make_plan

NO_QUORUM = Voters(3, 1)


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    return make_plan(tmp_path)


def finding(cluster: str = "demo", **etcd: Any) -> HostFinding:
    return HostFinding(cluster, {}, {}, {}, None, "", etcd=EtcdReport(**({"data": True} | etcd)))


def found(**hosts: HostFinding | None) -> HostFindings:
    """Findings; hosts given as None don't answer, others are well."""
    all_hosts = dict.fromkeys(("m1", "m2", "m3", "w1", "w2"), finding()) | hosts
    return HostFindings(
        {name: each for name, each in all_hosts.items() if each},
        {name: HostError(f"{name}: no route") for name, each in all_hosts.items() if each is None},
    )


def names(of: Rebuilt) -> tuple[list[str], list[str], list[str]]:
    return (
        [host.name for host in of.members],
        [host.name for host in of.masters],
        [host.name for host in of.left_out],
    )


def refused(plan: ClusterPlan, seen: HostFindings, voters: Voters = NO_QUORUM, **options: Any) -> str:
    with pytest.raises(PreflightError) as raised:
        rebuilt(plan, seen, voters, **options)
    assert str(raised.value).endswith("Nothing was changed.")
    return f"{raised.value} | {raised.value.hint}"


def test_all_hosts_take_part(plan: ClusterPlan) -> None:
    living = Living("aa", (), 4711, 300)
    seen = found(m1=finding(living=living), m2=finding(data=False), w1=None)
    made = rebuilt(plan, seen, Voters(3, 3))
    assert names(made) == (["m1", "m2", "m3"], ["m1", "m2", "m3"], [])
    assert (made.revision, made.resumes) == (4711, "")


def test_one_that_was_begun_goes_on(plan: ClusterPlan) -> None:
    assert rebuilt(plan, found(m2=finding(restoring="r1")), NO_QUORUM).resumes == "r1"


def test_hosts_that_do_not_answer_could_go_on_with_old_data(plan: ClusterPlan) -> None:
    text = refused(plan, found(m3=None, m2=finding(cluster="")))
    assert "m3 can't be reached (m3: no route): its etcd or API server could go on with old data" in text
    assert "m2 answers, but has nothing of the cluster" in text
    assert "add --dead" in text


def test_dead_hosts_are_left_out(plan: ClusterPlan) -> None:
    made = rebuilt(plan, found(m3=None, m2=finding(cluster="")), NO_QUORUM, dead=True)
    assert names(made) == (["m1"], ["m1"], ["m2", "m3"])


def test_nobody_is_left(plan: ClusterPlan) -> None:
    assert "no host of etcd answers" in refused(plan, found(m1=None, m2=None, m3=None), dead=True)


def test_hosts_of_another_cluster(plan: ClusterPlan) -> None:
    assert "m2 belongs to the cluster other" in refused(plan, found(m2=finding(cluster="other")))


def test_a_survivor_brings_all_that_answer(plan: ClusterPlan) -> None:
    made = rebuilt(plan, found(m1=None, m3=finding(data=False)), NO_QUORUM, survivor="m2")
    assert names(made) == (["m2", "m3"], ["m2", "m3"], ["m1"])


def test_no_survivor_where_nothing_is_lost(plan: ClusterPlan) -> None:
    text = refused(plan, found(m1=None), Voters(3, 2), survivor="m2")
    assert "etcd has a quorum: 2 of 3 members are healthy" in text
    assert "remove NAME --dead" in text


def test_no_survivor_without_data(plan: ClusterPlan) -> None:
    assert "m2 has no data of etcd" in refused(plan, found(m2=finding(data=False)), survivor="m2")
    assert "m2 can't be reached" in refused(plan, found(m2=None), survivor="m2")


def test_a_recovery_that_was_begun_goes_on_whatever_there_is(plan: ClusterPlan) -> None:
    seen = found(m2=finding(data=False, restoring="r1"), m1=None)
    assert rebuilt(plan, seen, Voters(2, 2), survivor="m2").resumes == "r1"

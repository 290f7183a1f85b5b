"""The state of etcd from recorded answers: members, quorum, snapshots."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.survey.cluster.facts import Facts
from k8sbootstrap.survey.cluster.parse import snapshots
from k8sbootstrap.survey.cluster.requests import ENDPOINT_HEALTH, ENDPOINT_STATUS, SNAPSHOTS
from k8sbootstrap.survey.etcd_voters import Voters
from k8sbootstrap.survey.status.etcd import state
from tests.unit.checks.cluster.healthy import ETCD_IDS, healthy, with_answer

STATUS_3_6 = """[{"Endpoint":"https://127.0.0.1:2379","Status":{"header":{"cluster_id":1,"member_id":7616583982444832909,
"revision":90,"raft_term":2},"version":"3.6.8","dbSize":24576,"leader":7059799375513725458,"raftIndex":8,"raftTerm":2,
"raftAppliedIndex":3,"dbSizeInUse":16384,"errors":["memberID:1 alarm:NOSPACE "],"isLearner":true,
"storageVersion":"3.6.0","dbSizeQuota":8589934592,"downgradeInfo":{}}}]"""


@pytest.fixture
def facts(plan) -> Facts:
    return healthy(plan)


def test_a_healthy_etcd(facts: Facts) -> None:
    found = state(facts)
    assert [(each.host, each.healthy, each.leader) for each in found.members] == [
        ("m1", True, False),
        ("m2", True, False),
        ("m3", True, True),
    ]
    assert (found.voters, found.leader) == (Voters(3, 3), found.members[2])
    assert (found.members[0].term, found.members[0].index, found.members[0].db_in_use) == (2, 8, 16384)
    assert found.members[0].id == f"{ETCD_IDS['m1']:x}"


def test_what_newer_releases_say_too(facts: Facts) -> None:
    sick = {ENDPOINT_STATUS: RunAnswer(0, STATUS_3_6, ""), ENDPOINT_HEALTH: RunAnswer(1, "[]", "Error: full")}
    found = state(with_answer(facts, "m1", run=sick))
    member = found.members[0]
    assert (member.quota, member.learner, member.revision) == (8589934592, True, 90)
    assert member.alarms == ("memberID:1 alarm:NOSPACE ",)
    assert found.lag(member) == 5
    assert found.voters == Voters(3, 2)


def test_snapshots_of_all_hosts_the_newest_first(facts: Facts) -> None:
    newer = RunAnswer(0, "20261124T120000Z-timer.db 5 1795521600.0\n", "")
    none = RunAnswer(1, "", "find: '/var/lib/k8sbootstrap/etcd-snapshots': No such file or directory")
    found = state(with_answer(with_answer(facts, "m2", run={SNAPSHOTS: newer}), "m3", run={SNAPSHOTS: none}))
    assert [(each.host, each.path.rpartition("/")[2]) for each in found.snapshots] == [
        ("m2", "20261124T120000Z-timer.db"),
        ("m1", "20261124T110000Z-on-demand.db.gz"),
        ("m1", "20261121T110000Z-before-1.36.2-from-1.35.6.db"),
    ]
    assert found.snapshots[0].taken == datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert found.snapshots[0].path == "/var/lib/k8sbootstrap/etcd-snapshots/20261124T120000Z-timer.db"


@pytest.mark.parametrize(
    "line", ["x", "a.db", "a.db 5", "../a.db 5 1.0", "a.db -5 1.0", "a.db 5 nan", "a.db 5 1e99", "a;b.db 5 1"]
)
def test_what_is_no_snapshot_is_left_out(line: str) -> None:
    assert snapshots(RunAnswer(0, f"{line}\nb.db 5 1.0\n", ""))[0].name == "b.db"


def test_a_host_that_is_lost(facts: Facts) -> None:
    answers = {name: answer for name, answer in facts.answers.items() if name != "m1"}
    found = state(replace(facts, answers=answers, lost={"m1": "m1: no route"}))
    assert found.voters == Voters(3, 2)
    assert found.members[0].message == "the host cannot be reached"

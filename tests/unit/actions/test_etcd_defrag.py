"""Members are defragmented one after another, the leader last, with health in between."""

from pathlib import Path

import pytest

from k8sbootstrap.actions import etcd_defrag
from k8sbootstrap.actions.etcd_defrag import Defragmented, defragment
from k8sbootstrap.checks import framework
from k8sbootstrap.errors import HostError, PreflightError
from k8sbootstrap.hosts.answers import Answer, RunAnswer
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.etcd_voters import Voters
from k8sbootstrap.survey.status.etcd import EtcdState
from k8sbootstrap.survey.status.models import EtcdMemberStatus
from tests.unit.checks.cluster.healthy import make_plan
from tests.unit.hosts.sessions import unreachable


class Cluster:
    """etcd of m1 (the leader), m2 and m3; what is asked of it is written down."""

    def __init__(self) -> None:
        self.sizes = {"m1": 9_000_000, "m2": 8_000_000, "m3": 7_000_000}
        self.leader = "m1"
        self.ill: set[str] = set()
        self.breaks = ""
        self.asked: list[tuple[str, ...]] = []
        self.refuses = ""
        self.full = False
        self.quota = 9_000_000

    def state(self) -> EtcdState:
        members = tuple(
            EtcdMemberStatus(
                name,
                healthy=name not in self.ill and not self.full,
                message="Active Alarm(s): NOSPACE " if self.full and name not in self.ill else "",
                alarms=("memberID:1 alarm:NOSPACE ",) if self.full else (),
                quota=self.quota,
                revision=17,
                leader=name == self.leader,
                id=f"id-{name}",
                version="3.6.8",
                db_size=size,
            )
            for name, size in self.sizes.items()
        )
        return EtcdState("demo", members, Voters(len(members), sum(each.healthy for each in members)), ())

    def ask(self, host: str, commands: dict[str, list[str]]) -> Answer:
        name, words = next(iter(commands.items()))
        self.asked.append((host, *words))
        if name == "move-leader":
            self.leader = words[1].removeprefix("id-")
        elif name == "alarm":
            self.full = False
        elif name == "defrag" and not self.refuses:
            self.sizes[host] = 1_000_000
            self.ill |= {host} & {self.breaks}
        return Answer(run={name: RunAnswer(1 if self.refuses else 0, "", self.refuses)})


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    return make_plan(tmp_path)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    found = Cluster()

    def ask(_self: Hosts, host: str, request: object, *, timeout: float) -> Answer:
        commands = {name: list(command.argv[7:]) for name, command in request.run.items()}
        return found.ask(host, commands)

    monkeypatch.setattr(etcd_defrag, "look", lambda *_: None)
    monkeypatch.setattr(etcd_defrag, "state", lambda _: found.state())
    monkeypatch.setattr(Hosts, "ask", ask)
    monkeypatch.setattr(framework, "SETTLE", 0.0)
    return found


def run(plan: ClusterPlan) -> list[Defragmented]:
    return defragment(plan, Pool(unreachable), lambda _: None, lambda _: None)


def test_the_leader_is_last_and_hands_over_first(plan: ClusterPlan, cluster: Cluster) -> None:
    done = run(plan)
    assert cluster.asked == [
        ("m2", "defrag"),
        ("m3", "defrag"),
        ("m1", "move-leader", "id-m2"),
        ("m1", "defrag"),
    ]
    assert [(each.host, each.freed) for each in done] == [
        ("m2", 7_000_000),
        ("m3", 6_000_000),
        ("m1", 8_000_000),
    ]


def test_nothing_without_a_quorum_of_the_others(plan: ClusterPlan, cluster: Cluster) -> None:
    cluster.ill = {"m3"}
    with pytest.raises(PreflightError, match="would lose its quorum"):
        run(plan)
    assert cluster.asked == []


def test_it_ends_where_a_member_does_not_come_back(plan: ClusterPlan, cluster: Cluster) -> None:
    cluster.breaks = "m2"
    with pytest.raises(HostError, match="m2 was defragmented, but etcd is not as healthy as before: 2 of 3"):
        run(plan)
    assert cluster.asked == [("m2", "defrag")]


def test_a_full_disk_is_said(plan: ClusterPlan, cluster: Cluster) -> None:
    cluster.refuses = "Failed to defragment: no space left on device"
    with pytest.raises(HostError, match=r"m2: etcdctl defrag failed: .*no space") as raised:
        run(plan)
    assert "Free disk space" in raised.value.hint


def test_a_full_database_takes_writes_again(plan: ClusterPlan, cluster: Cluster) -> None:
    cluster.full = True
    assert len(run(plan)) == 3
    assert cluster.asked[0] == ("m2", "compact", "--physical", "17")
    assert [words[1] for words in cluster.asked[1:]] == ["defrag", "defrag", "move-leader", "defrag", "alarm"]
    assert cluster.asked[-1] == ("m1", "alarm", "disarm")
    assert not cluster.full


def test_the_alarm_stays_where_there_is_no_room(plan: ClusterPlan, cluster: Cluster) -> None:
    cluster.full, cluster.quota = True, 900_000
    with pytest.raises(HostError, match=r"m1: the database still has 1\.0 MB of 0\.9 MB") as raised:
        run(plan)
    assert "Delete objects" in raised.value.hint
    assert cluster.full


def test_a_full_database_of_two_members(plan: ClusterPlan, cluster: Cluster) -> None:
    """Neither has a quorum without the other, but nothing is lost: it takes no writes."""
    del cluster.sizes["m3"]
    with pytest.raises(PreflightError, match="would lose its quorum"):
        run(plan)
    cluster.full = True
    said: list[str] = []
    assert len(defragment(plan, Pool(unreachable), said.append, lambda _: None)) == 2
    assert [words[1] for words in cluster.asked] == ["compact", "defrag", "move-leader", "defrag", "alarm"]
    assert "takes no writes anyway" in said[0]


def test_a_full_database_with_a_member_that_is_down(plan: ClusterPlan, cluster: Cluster) -> None:
    cluster.full, cluster.ill = True, {"m3"}
    assert [each.host for each in run(plan)] == ["m2", "m1"]
    assert not cluster.full


def test_a_full_database_without_a_quorum_is_left_alone(plan: ClusterPlan, cluster: Cluster) -> None:
    cluster.full, cluster.ill = True, {"m2", "m3"}
    with pytest.raises(PreflightError, match="would lose its quorum"):
        run(plan)
    assert cluster.asked == []

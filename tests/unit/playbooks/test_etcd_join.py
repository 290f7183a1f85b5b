"""Joining a running etcd: what is asked of its members, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible.module_utils.k8sbootstrap.host.units import UnitError
from ansible.module_utils.k8sbootstrap.kube import etcd_join
from ansible.module_utils.k8sbootstrap.kube.etcd_join import EtcdError, become_voter, initial_cluster

if TYPE_CHECKING:
    from collections.abc import Callable

MEMBERS = {"m1": "10.0.0.11", "m2": "10.0.0.12", "m3": "10.0.0.13"}
LIST, ADD, PROMOTE = (f"/v3/cluster/member/{verb}" for verb in ("list", "add", "promote"))


def listed(name: str, *, learner: bool = False, started: bool = True) -> dict[str, Any]:
    address = MEMBERS.get(name, "10.0.0.99")
    return {
        "ID": f"id-{name}",
        "name": name if started else "",
        "peerURLs": [f"https://{address}:2380"],
        "clientURLs": [f"https://{address}:2379"] if started else [],
        "isLearner": learner,
    }


class Cluster:
    """Answers as etcd's members do; those in ``down`` do not."""

    def __init__(self, *members: dict[str, Any]) -> None:
        self.members = list(members)
        self.down: set[str] = set()
        self.ill: set[str] = set()
        self.behind = 0
        self.refusals = 0
        self.asked: list[tuple[str, str, Any]] = []

    def call(self, address: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((address, path, body))
        if address in self.down:
            raise OSError("connection refused")
        if path == ADD and self.refusals:
            self.refusals -= 1
            raise EtcdError("etcdserver: unhealthy cluster")
        if path == ADD:
            name = next(
                name for name, each in MEMBERS.items() if body["peerURLs"] == [f"https://{each}:2380"]
            )
            self.members.append(listed(name, learner=body["isLearner"], started=False))
        if path == PROMOTE and self.behind:
            self.behind -= 1
            raise EtcdError("can only promote a learner member which is in sync with leader")
        if path == PROMOTE:
            next(each for each in self.members if each["ID"] == body["ID"])["isLearner"] = False
        return {"members": self.members}

    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked if path != LIST]

    def until_healthy(self, health: dict[str, str], _seconds: float) -> str | None:
        urls = {f"https://{ill}:2379{etcd_join.HEALTH}" for ill in self.ill}
        return "no leader" if health["url"] in urls else None


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Cluster]:
    def make(*members: dict[str, Any]) -> Cluster:
        made = Cluster(*members)
        monkeypatch.setattr(etcd_join, "_call", made.call)
        monkeypatch.setattr(etcd_join, "until_healthy", made.until_healthy)
        monkeypatch.setattr(etcd_join, "_PAUSE", 0.0)
        monkeypatch.setattr(etcd_join, "SECONDS_TO_ADD", 0.2)
        return made

    return make


def pairs(*names: str) -> str:
    return ",".join(f"{name}=https://{MEMBERS[name]}:2380" for name in names)


def test_it_is_added_as_a_learner_to_those_that_are_there(cluster: Callable[..., Cluster]) -> None:
    there = cluster(listed("m1"))
    there.down = {"10.0.0.13"}  # not yet a member either
    assert initial_cluster("m2", MEMBERS) == pairs("m1", "m2")
    (body,) = [body for _, path, body in there.asked if path == ADD]
    assert body == {"peerURLs": ["https://10.0.0.12:2380"], "isLearner": True}


def test_it_is_added_once(cluster: Callable[..., Cluster]) -> None:
    there = cluster(listed("m1"), listed("m2", learner=True, started=False))
    assert initial_cluster("m2", MEMBERS) == pairs("m1", "m2")
    assert there.paths() == []


def test_etcd_refuses_a_member_for_a_while_after_the_last_one(
    cluster: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = cluster(listed("m1"), listed("m3"))
    monkeypatch.setattr(etcd_join, "SECONDS_TO_ADD", 60.0)
    there.refusals = 4
    assert initial_cluster("m2", MEMBERS) == pairs("m1", "m3", "m2")


def test_with_an_ill_member_nothing_is_added(cluster: Callable[..., Cluster]) -> None:
    there = cluster(listed("m1"), listed("m3"))
    there.ill = {"10.0.0.13"}
    with pytest.raises(UnitError, match=r"m2 could not be added .* the member m3 is not healthy: no leader"):
        initial_cluster("m2", MEMBERS)
    assert there.paths() == []


def test_a_cluster_that_does_not_answer(cluster: Callable[..., Cluster]) -> None:
    there = cluster()
    there.down = set(MEMBERS.values())
    with pytest.raises(
        UnitError, match=r"10\.0\.0\.11: connection refused; 10\.0\.0\.13: connection refused"
    ):
        initial_cluster("m2", MEMBERS)


@pytest.mark.parametrize("name", ["", "a b", "x,evil=https://z"])
def test_a_member_with_a_name_that_is_none(cluster: Callable[..., Cluster], name: str) -> None:
    cluster(listed("m1"), listed("m2", started=False), listed("other") | {"name": name})
    with pytest.raises(
        UnitError, match=r"the member https://10\.0\.0\.99:2380 was added and has not started"
    ):
        initial_cluster("m2", MEMBERS)


def test_a_learner_votes_once_it_has_all_data(cluster: Callable[..., Cluster]) -> None:
    there = cluster(listed("m1"), listed("m2", learner=True))
    there.behind = 3
    become_voter("m2", MEMBERS)
    assert there.paths() == [PROMOTE] * 4
    assert not there.members[1]["isLearner"]
    assert {body["ID"] for _, path, body in there.asked if path == PROMOTE} == {"id-m2"}


def test_a_voter_is_left_alone(cluster: Callable[..., Cluster]) -> None:
    there = cluster(*map(listed, MEMBERS))
    become_voter("m2", MEMBERS)
    assert there.paths() == []


def test_a_learner_that_never_catches_up(
    cluster: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster(listed("m1"), listed("m2", learner=True)).behind = 10**9
    monkeypatch.setattr(etcd_join, "SECONDS_TO_CATCH_UP", 0.05)
    with pytest.raises(UnitError, match=r"m2 is a learner of etcd, and did not become a voter .* in sync"):
        become_voter("m2", MEMBERS)


def test_where_no_member_answers_health_says_more(cluster: Callable[..., Cluster]) -> None:
    cluster().down = {"127.0.0.1", *MEMBERS.values()}
    become_voter("m2", MEMBERS)

"""A member leaves a running etcd: what is asked of the others, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible.module_utils.k8sbootstrap.kube import etcd_join, etcd_leave
from ansible.module_utils.k8sbootstrap.kube.etcd_join import EtcdError
from ansible.module_utils.k8sbootstrap.kube.etcd_leave import HERE, leave, spare

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESSES = {f"m{n}": f"10.0.0.1{n}" for n in (1, 2, 3, 4)}
STATUS, TRANSFER, REMOVE = (
    "/v3/maintenance/status",
    "/v3/maintenance/transfer-leadership",
    "/v3/cluster/member/remove",
)


class Cluster:
    """Answers as the member m1 does, on whose host the program runs."""

    def __init__(self, *names: str, learner: str = "") -> None:
        self.members = [
            {
                "ID": f"id-{name}",
                "name": name,
                "peerURLs": [f"https://{ADDRESSES[name]}:2380"],
                "clientURLs": [f"https://{ADDRESSES[name]}:2379"],
                "isLearner": name == learner,
            }
            for name in names
        ]
        self.leader = "m1"
        self.ill: set[str] = set()
        self.asked: list[tuple[str, str, Any]] = []

    def call(self, address: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((address, path, body))
        if path == STATUS:
            return {"leader": f"id-{self.leader}", "header": {"member_id": "id-m1"}}
        if path == TRANSFER and address in {ADDRESSES[name] for name in self.ill}:
            raise OSError("connection refused")
        if path == REMOVE:
            self.members = [member for member in self.members if member["ID"] != body["ID"]]
        return {"members": self.members}

    def until_healthy(self, health: dict[str, str], _seconds: object) -> str | None:
        urls = {f"https://{ADDRESSES[name]}:2379{etcd_join.HEALTH}" for name in self.ill}
        return "no leader" if health["url"] in urls else None

    def changes(self) -> list[tuple[str, str, Any]]:
        return [asked for asked in self.asked if asked[1] in {TRANSFER, REMOVE}]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Cluster]:
    def make(*names: str, learner: str = "") -> Cluster:
        made = Cluster(*names, learner=learner)
        monkeypatch.setattr(etcd_join, "_call", made.call)
        monkeypatch.setattr(etcd_leave, "until_healthy", made.until_healthy)
        monkeypatch.setattr(etcd_leave, "_PAUSE", 0.0)
        monkeypatch.setattr(etcd_leave, "SECONDS_TO_BE_HEALTHY", 0.0)
        return made

    return make


def test_a_follower_leaves(cluster: Callable[..., Cluster]) -> None:
    there = cluster("m1", "m2", "m3")
    assert leave(ADDRESSES["m3"])
    assert there.changes() == [(HERE, REMOVE, {"ID": "id-m3"})]


def test_a_leader_hands_over_before(cluster: Callable[..., Cluster]) -> None:
    there = cluster("m1", "m2", "m3")
    there.leader = "m3"
    leave(ADDRESSES["m3"])
    assert there.changes() == [
        (ADDRESSES["m3"], TRANSFER, {"targetID": "id-m1"}),
        (HERE, REMOVE, {"ID": "id-m3"}),
    ]


def test_a_leader_that_does_not_answer_leaves_all_the_same(cluster: Callable[..., Cluster]) -> None:
    there = cluster("m1", "m2", "m3")
    there.leader, there.ill = "m3", {"m3"}
    assert leave(ADDRESSES["m3"])
    assert there.changes()[-1] == (HERE, REMOVE, {"ID": "id-m3"})


def test_one_that_has_left_is_no_member(cluster: Callable[..., Cluster]) -> None:
    there = cluster("m1", "m2")
    assert not leave(ADDRESSES["m3"])
    assert there.changes() == []


def test_a_dead_one_leaves_while_the_others_are_well(cluster: Callable[..., Cluster]) -> None:
    there = cluster("m1", "m2", "m3")
    there.ill = {"m3"}
    assert leave(ADDRESSES["m3"])


@pytest.mark.parametrize("names", [("m1", "m2", "m3"), ("m1", "m2")])
def test_it_stays_where_the_others_have_no_quorum(
    cluster: Callable[..., Cluster], names: tuple[str, ...]
) -> None:
    there = cluster(*names)
    there.ill = {"m1"}
    with pytest.raises(EtcdError, match=r"it can't leave etcd: no leader"):
        leave(ADDRESSES["m2"])
    assert there.changes() == []


def test_the_last_member_stays(cluster: Callable[..., Cluster]) -> None:
    there = cluster("m1")
    with pytest.raises(EtcdError, match="there is no other member"):
        leave(ADDRESSES["m1"])
    assert there.changes() == []


def test_a_learner_leaves_whoever_is_well(cluster: Callable[..., Cluster]) -> None:
    there = cluster("m1", "m2", learner="m2")
    there.leader = "m2"
    assert leave(ADDRESSES["m2"])
    assert there.changes() == [(HERE, REMOVE, {"ID": "id-m2"})]


def test_one_that_never_started_is_not_healthy(cluster: Callable[..., Cluster]) -> None:
    there = cluster("m1", "m2", "m3")
    there.members[1].update(name="", clientURLs=[])
    with pytest.raises(EtcdError, match="the member id-m2 never started"):
        leave(ADDRESSES["m3"])


def test_a_leader_that_goes_for_a_while_hands_over(cluster: Callable[..., Cluster]) -> None:
    there = cluster("m1", "m2", "m3")
    there.leader = "m3"
    assert spare(ADDRESSES["m3"])
    assert there.changes() == [(ADDRESSES["m3"], TRANSFER, {"targetID": "id-m1"})]


@pytest.mark.parametrize(("ill", "stays"), [("m2", False), ("m1", False), ("m3", True)])
def test_all_others_of_three_must_be_well_meanwhile(
    cluster: Callable[..., Cluster], ill: str, *, stays: bool
) -> None:
    there = cluster("m1", "m2", "m3")
    there.ill = {ill}
    if stays:
        assert spare(ADDRESSES["m3"])
        return
    with pytest.raises(EtcdError, match="etcd there is not stopped: no leader"):
        spare(ADDRESSES["m3"])
    assert there.changes() == []


def test_four_members_do_without_one(cluster: Callable[..., Cluster]) -> None:
    """Two of three would be enough if it left for good; two of four are not."""
    there = cluster("m1", "m2", "m3", "m4")
    assert spare(ADDRESSES["m4"])
    there.ill = {"m2"}
    with pytest.raises(EtcdError):
        spare(ADDRESSES["m4"])


def test_a_host_without_a_member_is_spared(cluster: Callable[..., Cluster]) -> None:
    assert not cluster("m1", "m2").changes()
    assert not spare(ADDRESSES["m3"])

"""May etcd be started as planned? One test for each thing that people do to a cluster, and each accident."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.kube.etcd_rules import judge

ADDRESSES = {
    f"{kind}{n}": f"10.0.0.{base + n}" for kind, base in (("m", 10), ("e", 20), ("w", 30)) for n in (1, 2, 3)
}
BARE: dict[str, Any] = {
    "cluster": "",
    "data": False,
    "changed": 0,
    "members": {},
    "formed": False,
    "api": [],
    "joined": False,
    "restoring": "",
    "living": None,
}
JOINED = BARE | {"cluster": "demo", "joined": True}


def named(*names: str) -> dict[str, str]:
    return {name: ADDRESSES[name] for name in names}


def living(*names: str, cluster: str = "aa", objects: int = 300, **other: Any) -> dict[str, Any]:
    """What a member reports; ``other``: name to what differs of that member."""
    members = [
        {
            "id": first_id(name),
            "name": name,
            "urls": [f"https://{ADDRESSES[name]}:2380"],
            "started": True,
            **other.get(name, {}),
        }
        for name in names
    ]
    return {"cluster": cluster, "members": members, "revision": 4711, "objects": objects}


def first_id(name: str) -> str:
    digest = hashlib.sha1(f"https://{ADDRESSES[name]}:2380demo".encode()).hexdigest()
    return format(int(digest[:16], 16), "x")


def member(*names: str, **other: Any) -> dict[str, Any]:
    """A master of a cluster with these members that runs well."""
    well = {
        "cluster": "demo",
        "data": True,
        "members": named(*names),
        "formed": True,
        "living": living(*names),
    }
    return BARE | well | other


def stopped(*names: str, **other: Any) -> dict[str, Any]:
    return member(*names, living=None, **other)


def begun(*names: str, data: bool = False) -> dict[str, Any]:
    return stopped(*names, data=data, formed=False)


def verdict(planned: dict[str, str], **reports: Any) -> tuple[list[str], dict[str, str]]:
    """Texts with their hints, and who may begin; hosts given as None did not answer."""
    answers = {host: report for host, report in reports.items() if report is not None}
    judged = judge(planned, "demo", answers, [*planned, *reports])
    return [f"{each['text']} | {each['hint']}" for each in judged["problems"]], judged["begin"]


THREE = named("m1", "m2", "m3")


def new(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "new")


@pytest.mark.parametrize(
    ("reports", "begin"),
    [
        pytest.param({"m1": BARE, "m2": BARE, "m3": BARE, "w1": BARE}, new(*THREE), id="bare hosts"),
        pytest.param({name: member(*THREE) for name in THREE}, {}, id="all is well"),
        pytest.param({"m1": member(*THREE), "m2": member(*THREE), "m3": None}, {}, id="one is down"),
        pytest.param({"m1": None, "m2": None, "m3": stopped(*THREE)}, {}, id="two are down"),
        pytest.param({name: stopped(*THREE) for name in THREE}, {}, id="all are stopped"),
        pytest.param(
            {"m1": begun(*THREE), "m2": begun(*THREE), "m3": BARE}, new(*THREE), id="killed before any start"
        ),
        pytest.param(
            {"m1": begun(*THREE, data=True), "m2": begun(*THREE), "m3": BARE},
            new("m2", "m3"),
            id="killed when the first had started",
        ),
        pytest.param(
            {
                "m1": member(*THREE, living=living(*THREE, m3={"started": False})),
                "m2": member(*THREE, living=living(*THREE, m3={"started": False}), formed=False),
                "m3": BARE,
            },
            new("m3"),
            id="killed when two of three had formed",
        ),
        pytest.param(
            {
                "m1": member(*THREE, living=living(*THREE, m3={"started": False})),
                "m2": None,
                "m3": begun(*THREE),
            },
            new("m3"),
            id="the same, with one of the two out of reach",
        ),
        pytest.param(
            {
                "m1": member(*THREE, living=living(*THREE, m3={"started": False, "id": "1234", "name": ""})),
                "m2": member(*THREE, living=living(*THREE, m3={"started": False, "id": "1234", "name": ""})),
                "m3": BARE,
            },
            {"m3": "existing"},
            id="removed and added by hand",
        ),
        pytest.param(
            {
                "m1": member(*THREE, living=living(*THREE, m3={"started": False, "id": "1234", "name": ""})),
                "m2": member(*THREE, living=living(*THREE, m3={"started": False, "id": "1234", "name": ""})),
                "m3": stopped(*THREE, data=False),
            },
            {"m3": "existing"},
            id="the same where only the data was gone",
        ),
        pytest.param(
            {"m1": BARE | {"data": True}, "m2": BARE | {"data": True}, "m3": BARE | {"data": True}},
            {},
            id="data put there by hand",
        ),
    ],
)
def test_it_may_go_on(reports: dict[str, Any], begin: dict[str, str]) -> None:
    assert verdict(THREE, **reports) == ([], begin)


ONE = member("m1")
OWN = named("e1", "e2", "e3")
TWICE = {
    "m1": member("m1", living=living("m1", cluster="aa", objects=300)),
    "m2": member(*THREE, living=living(*THREE, cluster="bb", objects=12)),
    "m3": member(*THREE, living=living(*THREE, cluster="bb", objects=12)),
}
REFUSED = {
    "grown while another member does not answer": (
        named("m1", "m2", "m3", "e1"),
        {"m1": member(*THREE), "m2": stopped(*THREE), "m3": member(*THREE), "e1": BARE},
        "adds e1: members are added only while all others are well, and etcd on m2 does not answer",
    ),
    "grown while another member is out of reach": (
        named("m1", "m2", "m3", "e1"),
        {"m1": member(*THREE), "m2": member(*THREE), "m3": None, "e1": BARE},
        "adds e1: members are added only while all others are well, and etcd on m3 does not answer",
    ),
    "grown before the first members have all begun": (
        named("m1", "m2", "m3", "e1"),
        {
            "m1": member(*THREE, living=living(*THREE, m3={"started": False})),
            "m2": member(*THREE, living=living(*THREE, m3={"started": False})),
            "m3": BARE,
            "e1": BARE,
        },
        "adds e1: members are added only while all others are well, and etcd on m3 does not answer",
    ),
    "grown by a host that did not answer": (
        THREE,
        {"m1": ONE, "m2": BARE, "m3": None},
        "adds m2 and m3, but m3 did not report whether there is etcd data",
    ),
    "grown by a host with data": (
        THREE,
        {"m1": ONE, "m2": BARE | {"data": True}, "m3": BARE},
        "adds m2 and m3, but m2 has data of another etcd, or of a member that was taken out",
    ),
    "one added and another taken out": (
        named("m1", "m2", "e1"),
        {"m1": member(*THREE), "m2": member(*THREE), "m3": member(*THREE), "e1": BARE},
        "adds e1 and no longer has m3: members can't be added and taken out at once",
    ),
    "grown while the first is stopped": (
        THREE,
        {"m1": stopped("m1"), "m2": BARE, "m3": BARE},
        "etcd has the member m1, and cluster.yaml adds m2 and m3",
    ),
    "grown while the first is out of reach": (
        THREE,
        {"m1": None, "m2": BARE, "m3": BARE},
        "m1 did not report whether there is etcd data",
    ),
    "grown by a worker while the first is out of reach": (
        named("m1", "w1", "m3"),
        {"m1": None, "w1": JOINED, "m3": BARE},
        "but nodes or API servers of the cluster are on w1",
    ),
    "moved to hosts of its own": (
        OWN,
        {"m1": ONE, "e1": BARE, "e2": BARE, "e3": BARE},
        "etcd's data is on m1 (10.0.0.11), but cluster.yaml puts etcd on e1, e2 and e3",
    ),
    "moved to hosts of its own while the first is out of reach": (
        OWN,
        {"m1": None, "e1": BARE, "e2": BARE, "e3": BARE},
        "m1 did not report",
    ),
    "moved to the masters, and the old hosts taken out": (
        named("m1"),
        {"m1": BARE | {"cluster": "demo", "api": list(OWN.values())}},
        "etcd's data is on 10.0.0.21, 10.0.0.22 and 10.0.0.23, but cluster.yaml puts etcd on m1",
    ),
    "a master taken out": (
        named("m1"),
        {"m1": member(*THREE)},
        "m3 (10.0.0.13) is a member of etcd, but no longer in cluster.yaml",
    ),
    "a master taken out while etcd is stopped": (
        named("m1"),
        {"m1": stopped(*THREE)},
        "m2 (10.0.0.12) is a member of etcd, but no longer in cluster.yaml",
    ),
    "a member added by hand": (
        named("m1"),
        {"m1": member("m1", living=living("m1", "m2"))},
        "etcd has the member m2 (10.0.0.12), which is not in cluster.yaml: it was added by hand",
    ),
    "an address changed": (
        THREE | {"m2": "10.0.0.99"},
        {name: member(*THREE) for name in THREE},
        "etcd's member m2 has the address 10.0.0.12, but cluster.yaml says 10.0.0.99",
    ),
    "the only address changed": (
        {"m1": "10.0.0.99"},
        {"m1": ONE},
        "etcd's member m1 has the address 10.0.0.11, but cluster.yaml says 10.0.0.99",
    ),
    "another host under the old name": (
        THREE,
        {"m1": member(*THREE), "m2": BARE, "m3": member(*THREE)},
        "m2 has no etcd data, but etcd has a member m2 (10.0.0.12) that ran before",
    ),
    "another host under the old name, and no quorum": (
        THREE,
        {"m1": stopped(*THREE), "m2": BARE, "m3": None},
        "m2: there is no etcd data, and etcd on m1 does not answer",
    ),
    "the only master lost its data": (
        named("m1"),
        {"m1": stopped("m1", data=False, changed=1795795200), "w1": JOINED},
        "data is gone from m1 (/var/lib/etcd last changed 2026-11-27 16:00 UTC): /var/lib/etcd/member/wal is",
    ),
    "one of three lost its data": (
        THREE,
        {"m1": member(*THREE), "m2": stopped(*THREE, data=False), "m3": member(*THREE)},
        "the other members have a quorum, and the cluster works without it",
    ),
    "two of three lost their data": (
        THREE,
        {"m1": stopped(*THREE), "m2": stopped(*THREE, data=False), "m3": stopped(*THREE, data=False)},
        "etcd's data is gone from m2 and m3: /var/lib/etcd/member/wal is empty, but a member ran there",
    ),
    "two of three lost their data, and one does not report": (
        THREE,
        {"m1": None, "m2": stopped(*THREE, data=False), "m3": stopped(*THREE, data=False)},
        "no member that reports has it; m1 did not report",
    ),
    "all lost their data": (
        THREE,
        {name: stopped(*THREE, data=False) for name in THREE},
        "no member has it, so the API does not answer",
    ),
    "its data was deleted while it runs": (
        named("m1"),
        {"m1": member("m1", data=False)},
        "etcd still runs there with deleted files",
    ),
    "the only master replaced, workers run on": (
        named("m1"),
        {"m1": BARE, "w1": JOINED},
        "m1: there is no etcd data, but nodes or API servers of the cluster are on w1",
    ),
    "all etcd hosts replaced, masters run on": (
        OWN,
        {"m1": BARE | {"api": list(OWN.values())}, "e1": BARE, "e2": BARE, "e3": BARE},
        "but nodes or API servers of the cluster are on m1",
    ),
    "a second cluster is there already": (
        THREE,
        TWICE,
        "there are 2 etcd clusters: aa on m1 (300 Kubernetes objects, revision 4711); bb on m2 and m3 (12 ",
    ),
    "a second cluster is there and stopped": (
        THREE,
        {host: report | {"living": None} for host, report in TWICE.items()},
        "its members belong to different clusters: m1 with m1; m2 with m1, m2 and m3",
    ),
    "data of another tool on one": (
        THREE,
        {"m1": BARE | {"data": True}, "m2": BARE, "m3": BARE},
        "m1: there is etcd data that k8sbootstrap did not make, and m2 and m3 would start a cluster",
    ),
    "a host of another cluster": (
        THREE,
        {"m1": BARE | {"cluster": "other"}, "m2": BARE, "m3": BARE},
        "the cluster other is on m1",
    ),
    "a killed first run, then another list": (
        THREE,
        {"m1": begun("m1", data=True), "m2": BARE, "m3": BARE},
        "etcd has the member m1, and cluster.yaml adds m2 and m3",
    ),
    "a worker that did not answer the first run": (
        named("m1"),
        {"m1": BARE, "w1": None},
        "w1 did not report whether there is etcd data",
    ),
}


LEARNER = {"started": False, "id": "1234", "name": ""}
JOINS = {
    "from one to three": (
        THREE,
        {"m1": ONE, "m2": BARE, "m3": BARE},
        {"m2": "existing", "m3": "existing"},
        ["m2", "m3"],
    ),
    "a worker that becomes a master": (
        named("m1", "w1"),
        {"m1": ONE, "w1": JOINED},
        {"w1": "existing"},
        ["w1"],
    ),
    "hosts of their own": (
        OWN,
        {"m1": BARE | {"api": ["10.0.0.21"]}, "e1": member("e1"), "e2": BARE, "e3": BARE},
        {"e2": "existing", "e3": "existing"},
        ["e2", "e3"],
    ),
    "killed when the first had been added": (
        THREE,
        {"m1": member("m1", living=living("m1", "m2", m2=LEARNER)), "m2": begun(*THREE), "m3": BARE},
        {"m2": "existing", "m3": "existing"},
        ["m3"],
    ),
    "killed when the first had started": (
        THREE,
        {
            "m1": member("m1", living=living("m1", "m2")),
            "m2": begun(*THREE, data=True) | {"living": living("m1", "m2")},
            "m3": BARE,
        },
        {"m3": "existing"},
        ["m3"],
    ),
}


@pytest.mark.parametrize("case", JOINS)
def test_members_join_those_that_run(case: str) -> None:
    planned, reports, begin, join = JOINS[case]
    judged = judge(planned, "demo", reports, [*planned, *reports])
    assert judged == {"problems": [], "begin": begin, "join": join}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused(case: str) -> None:
    planned, reports, text = REFUSED[case]
    problems, begin = verdict(planned, **reports)
    assert any(text in problem for problem in problems), problems
    assert begin == {}
    assert all("again" not in problem for problem in problems)


def test_the_newest_list_of_members_counts() -> None:
    old = living("m1", "m2", "m3") | {"revision": 1}
    replaced = living("m1", "m2", "m3", m3={"id": "77", "started": False})
    reports = {"m1": member(*THREE, living=old), "m2": member(*THREE, living=replaced), "m3": BARE}
    assert verdict(THREE, **reports) == ([], {"m3": "existing"})


def test_a_lost_member_is_removed_and_added_again() -> None:
    reports = {"m1": member(*THREE), "m2": BARE, "m3": member(*THREE)}
    hint = verdict(THREE, **reports)[0][0]
    assert "If the host is new: k8sbootstrap remove m2 --dead, then up." in hint


def test_etcds_own_ids() -> None:
    """Of a cluster with the token lab, as a real member reported its id."""
    members = [
        {"id": "973c619edb5e0665", "name": "master1", "urls": ["https://10.86.1.11:2380"], "started": False}
    ]
    known = {"cluster": "aa", "members": members, "revision": 1, "objects": 0}
    reports = {"master1": BARE, "other": BARE | {"living": known}}
    assert judge({"master1": "10.86.1.11"}, "lab", reports, [])["begin"] == {"master1": "new"}


@pytest.mark.parametrize(
    "reports",
    [
        pytest.param({name: stopped(*THREE, restoring="r1") for name in THREE}, id="all"),
        pytest.param(
            {**{name: member(*THREE) for name in THREE}, "m2": member(*THREE, restoring="r1")}, id="one"
        ),
        pytest.param(
            {name: stopped(*THREE, data=False, restoring="r1") for name in THREE}, id="without data"
        ),
    ],
)
def test_nothing_starts_while_a_restore_has_not_ended(reports: dict[str, Any]) -> None:
    problems, begin = verdict(THREE, **reports)
    assert begin == {}
    assert len(problems) == 1
    assert "a restore of etcd was begun on m" in problems[0]
    assert "Run the same k8sbootstrap etcd restore, or recover, again" in problems[0]


def test_the_restore_itself_goes_on_whatever_members_have() -> None:
    reports = {"m1": member(*THREE, restoring="r1"), "m2": BARE | {"restoring": "r1"}, "m3": BARE}
    judged = judge(THREE, "demo", reports, [*THREE], restoring="r1")
    assert judged == {"problems": [], "begin": {}, "join": []}
    other = judge(THREE, "demo", reports, [*THREE], restoring="r2")
    assert "has not ended" in other["problems"][0]["text"]
    begins = judge(THREE, "demo", dict.fromkeys(THREE, BARE), [*THREE], restoring="r1")
    assert begins["begin"] == new(*THREE)


def test_members_of_a_restored_cluster_join_where_they_never_started() -> None:
    """Their ids are of another token: without data they must not begin a cluster of their own."""
    ids = {name: {"id": f"ff{name[1]}", "started": name != "m3"} for name in THREE}
    known = living(*THREE, **ids)
    reports = {name: member(*THREE, living=known) for name in ("m1", "m2")}
    assert verdict(THREE, **reports, m3=begun(*THREE)) == ([], {"m3": "existing"})

"""Who votes in etcd and is healthy, from what its members said."""

import json
from pathlib import Path

from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.survey.cluster.requests import ENDPOINT_HEALTH, MEMBERS
from k8sbootstrap.survey.etcd_voters import EtcdNow, Voters, look_at_etcd
from tests.cluster_yaml import cluster_yaml
from tests.unit.hosts.sessions import ScriptedSession


def member(name: str, number: int, *, learner: bool = False) -> dict[str, object]:
    urls = [f"https://10.0.0.1{number}:2380"]
    return {"ID": number, "name": name, "peerURLs": urls, **({"isLearner": True} if learner else {})}


LISTED = json.dumps(
    {"members": [member("m1", 1), member("m2", 2), member("m3", 3), member("m9", 9, learner=True)]}
)
ILL = RunAnswer(1, "", "Error: context deadline exceeded")


def look(folder: Path, **hosts: tuple[RunAnswer, bool]) -> EtcdNow:
    """``hosts``: the answer of ``member list``, and whether the member is healthy; others are down."""
    (folder / "cluster.yaml").write_text(cluster_yaml("m1", "m2", "m3", "w1"))

    def reply(host: str, _command: str, _stdin: str) -> RunAnswer:
        if host not in hosts:
            raise HostError(f"{host}: no answer")
        listed, well = hosts[host]
        health = RunAnswer(0, json.dumps([{"health": True}]), "") if well else ILL
        run = {
            name: {"rc": each.rc, "stdout": each.stdout, "stderr": each.stderr, "seconds": 0.1}
            for name, each in ((MEMBERS, listed), (ENDPOINT_HEALTH, health))
        }
        return RunAnswer(0, json.dumps({"http": {}, "run": run, "certificates": {}}), "")

    with Pool(lambda target: ScriptedSession(target, reply)) as pool:
        return look_at_etcd(load_plan(folder / "cluster.yaml"), pool)


def test_voters_and_learners(tmp_path: Path) -> None:
    well = RunAnswer(0, LISTED, "")
    now = look(tmp_path, m1=(ILL, False), m2=(well, True), m3=(well, True))
    assert now.voters == {"10.0.0.11": True, "10.0.0.12": True, "10.0.0.13": True, "10.0.0.19": False}
    assert now.healthy == {"10.0.0.12", "10.0.0.13"}
    assert now.count == Voters(3, 2)


def test_no_member_can_say_it(tmp_path: Path) -> None:
    now = look(tmp_path, m1=(ILL, False))
    assert (now.voters, now.count.have_quorum) == ({}, False)
    assert "m2: no answer" in now.problem
    assert (
        "context deadline exceeded"
        in look(tmp_path, m1=(ILL, False), m2=(ILL, False), m3=(ILL, False)).problem
    )

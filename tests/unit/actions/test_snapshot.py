"""Snapshots of etcd: which member takes one, and how it gets to this machine."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.actions.snapshot import Snapshot, download, source, take
from k8sbootstrap.errors import HostError, K8sBootstrapError
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.status.models import EtcdMemberStatus
from tests.unit.hosts.sessions import ScriptedSession

CONTENT = b"snapshot" * 10
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def member(name: str, *, healthy: bool = True, **other: bool) -> EtcdMemberStatus:
    return EtcdMemberStatus(name, healthy=healthy, message="", **other)


def test_a_healthy_member_that_does_not_lead_takes_it() -> None:
    sick, learner = member("m1", healthy=False), member("m2", learner=True)
    assert source([sick, learner, member("m3", leader=True), member("m4")]) == "m4"
    assert source([sick, learner, member("m3", leader=True)]) == "m3"
    with pytest.raises(HostError, match="no etcd member is healthy"):
        source([sick, learner])


def test_one_that_is_full_takes_it_too() -> None:
    full = replace(member("m1", healthy=False), message="Active Alarm(s): NOSPACE ")
    assert source([full, member("m2", healthy=False)]) == "m1"


def pool(reply: Callable[[dict[str, Any]], Any]) -> Pool:
    """Hosts whose program answers as told."""

    def answer(_host: str, _command: str, stdin: str) -> RunAnswer:
        return RunAnswer(0, json.dumps(reply(json.loads(stdin.partition("\n")[0]))), "")

    return Pool(lambda target: ScriptedSession(target, answer))


def test_what_the_host_says_of_it(plan: ClusterPlan) -> None:
    asked: list[dict[str, Any]] = []

    def reply(wanted: dict[str, Any]) -> Any:
        asked.append(wanted)
        return {"path": "/x/y.db.gz", "bytes": 5, "sha256": DIGEST, "revision": 7, "keys": 9}

    with pool(reply) as hosts:
        taken = take(plan, hosts, "master1", "on-demand", keep=10, days=30)
    assert taken == Snapshot("master1", "/x/y.db.gz", 5, DIGEST, 7)
    assert asked == [
        {
            "do": "take",
            "folder": "/var/lib/k8sbootstrap/etcd-snapshots",
            "label": "on-demand",
            "keep": 10,
            "days": 30,
        }
    ]


def test_why_there_is_none(plan: ClusterPlan) -> None:
    with (
        pool(lambda _: {"problem": "No space left\x1b[2J"}) as hosts,
        pytest.raises(HostError, match=r"^master1: no snapshot of etcd could be taken: No space left"),
    ):
        take(plan, hosts, "master1", "on-demand", keep=10)


def read(content: bytes) -> Callable[[dict[str, Any]], Any]:
    """Answers with one part of a file after another, as small as tests need."""

    def reply(wanted: dict[str, Any]) -> Any:
        part = content[wanted["offset"] : wanted["offset"] + 7]
        return {"block": base64.b64encode(part).decode()}

    return reply


def test_it_arrives_whole_and_for_its_user_alone(plan: ClusterPlan, tmp_path: Path) -> None:
    target, seen = tmp_path / "etcd.db", []
    with pool(read(CONTENT)) as hosts:
        snapshot = Snapshot("master1", "/x.db", len(CONTENT), DIGEST)
        assert download(plan, hosts, snapshot, target, seen.append) == DIGEST
    assert target.read_bytes() == CONTENT
    assert target.stat().st_mode & 0o777 == 0o600
    assert seen[-1] == len(CONTENT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster.yaml", "etcd.db"]


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"x", CONTENT + b"more"])
def test_what_arrives_damaged_is_refused(plan: ClusterPlan, tmp_path: Path, content: bytes) -> None:
    snapshot = Snapshot("master1", "/x.db", len(CONTENT), DIGEST)
    with pool(read(content)) as hosts, pytest.raises(HostError, match=r"master1: /x\.db changed"):
        download(plan, hosts, snapshot, tmp_path / "etcd.db", lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["cluster.yaml"]


def test_no_base64_is_damage(plan: ClusterPlan, tmp_path: Path) -> None:
    snapshot = Snapshot("master1", "/x.db", 5)
    with pool(lambda _: {"block": "!"}) as hosts, pytest.raises(HostError, match="0 of 5 bytes"):
        download(plan, hosts, snapshot, tmp_path / "etcd.db", lambda _: None)


def test_a_file_that_cannot_be_written(plan: ClusterPlan, tmp_path: Path) -> None:
    snapshot = Snapshot("master1", "/x.db", len(CONTENT))
    with pool(read(CONTENT)) as hosts, pytest.raises(K8sBootstrapError, match=r"nowhere/etcd.db can't be"):
        download(plan, hosts, snapshot, tmp_path / "nowhere/etcd.db", lambda _: None)

"""The bucket as hosts are asked about it: what goes to them, and what their answers are taken for."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from k8sbootstrap.actions.bucket import fetch, forget, upload
from k8sbootstrap.actions.snapshot import Snapshot
from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.status.bucket import BucketSnapshot, BucketState, look_in_bucket
from tests.unit.hosts.sessions import ScriptedSession

STORE = {"bucket": "backups", "folder": "demo", "secret_key": "s3cr3t"}
NAME = "1f/20261124T110000Z-timer.db.gz"
TAKEN = Snapshot("master1", "/kept/x.db.gz", 5, "a" * 64, 7)


def pool(reply: Callable[[dict[str, Any]], Any]) -> Pool:
    """Hosts whose program answers as told; the secret is in no command."""

    def answer(_host: str, command: str, stdin: str) -> RunAnswer:
        assert "s3cr3t" not in command
        return RunAnswer(0, json.dumps(reply(json.loads(stdin.partition("\n")[0]))), "")

    return Pool(lambda target: ScriptedSession(target, answer))


def test_one_is_uploaded_by_its_host(plan: ClusterPlan) -> None:
    asked = []

    def reply(wanted: dict[str, Any]) -> Any:
        asked.append(wanted)
        return {"object": f"demo/{NAME}", "bytes": 5, "removed": 1, "not_removed": ""}

    with pool(reply) as hosts:
        assert upload(plan, hosts, TAKEN, STORE) == f"s3://backups/demo/{NAME}"
    assert asked == [{"do": "upload", "store": STORE, "path": "/kept/x.db.gz"}]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {"problem": "https://x: AccessDenied\x1b[2J"},
            r"^the snapshot is not in s3://backups/demo: master1: https://x: AccessDenied",
        ),
        ({"object": "a", "bytes": 5, "removed": 0, "not_removed": "old ones"}, r"^master1: old ones"),
        ({"object": "a\n", "bytes": 5, "removed": 0, "not_removed": ""}, "its answer can't be used"),
    ],
)
def test_where_the_snapshot_is_if_it_can_not_be_uploaded(plan: ClusterPlan, answer: Any, said: str) -> None:
    with pool(lambda _: answer) as hosts, pytest.raises(HostError, match=said) as caught:
        upload(plan, hosts, TAKEN, STORE)
    assert caught.value.hint == "The snapshot itself is kept on master1: /kept/x.db.gz."
    assert "\x1b" not in str(caught.value)


def test_the_list(plan: ClusterPlan) -> None:
    entries = [{"object": NAME.replace("24T", f"{day}T"), "bytes": day} for day in (22, 24, 23)]
    with pool(lambda _: {"entries": entries}) as hosts:
        found = look_in_bucket(plan, hosts, "master1", STORE)
    assert (found.url, found.problem) == ("s3://backups/demo", "")
    assert [each.bytes for each in found.snapshots] == [24, 23, 22]
    assert found.snapshots[0] == BucketSnapshot(NAME, 24, datetime(2026, 11, 24, 11, tzinfo=UTC))


@pytest.mark.parametrize(
    "name", ["../x", "1f/20261199T110000Z-timer.db", "1f/x", "20261124T110000Z-timer.db.gz", f"{NAME}\n"]
)
def test_a_list_with_other_names_is_refused(plan: ClusterPlan, name: str) -> None:
    with pool(lambda _: {"entries": [{"object": name, "bytes": 1}]}) as hosts:
        found = look_in_bucket(plan, hosts, "master1", STORE)
    assert found.problem
    assert found.snapshots == ()


def test_why_there_is_no_list(plan: ClusterPlan) -> None:
    with pool(lambda _: {"problem": "NoSuchBucket"}) as hosts:
        found = look_in_bucket(plan, hosts, "master1", STORE)
    assert found == BucketState("s3://backups/demo", problem="master1: NoSuchBucket")
    with pool(lambda _: None) as hosts:
        assert "no host of etcd answers" in look_in_bucket(plan, hosts, "", STORE).problem


def test_one_is_fetched_to_a_host(plan: ClusterPlan) -> None:
    def reply(wanted: dict[str, Any]) -> Any:
        if wanted["do"] == "forget":
            return {"done": True}
        return {"path": "/fetched/x.db", "bytes": 5, "sha256": "a" * 64}

    with pool(reply) as hosts:
        assert fetch(plan, hosts, "master1", STORE, NAME) == Snapshot("master1", "/fetched/x.db", 5, "a" * 64)
        forget(plan, hosts, "master1")
    with (
        pool(lambda _: {"problem": "arrived damaged"}) as hosts,
        pytest.raises(HostError, match=r"can't be fetched from s3://backups/demo: master1: arrived damaged"),
    ):
        fetch(plan, hosts, "master1", STORE, NAME)

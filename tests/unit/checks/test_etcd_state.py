"""What counts as wrong with etcd, and when its members can be defragmented."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from k8sbootstrap.checks.etcd_state import problems, require_defragmentable
from k8sbootstrap.errors import PreflightError
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.survey.cluster.facts import Facts
from k8sbootstrap.survey.cluster.requests import ENDPOINT_HEALTH, ENDPOINT_STATUS
from k8sbootstrap.survey.etcd_voters import Voters
from k8sbootstrap.survey.status.etcd import EtcdState, state
from tests.unit.checks.cluster.healthy import healthy, make_plan, recorded, with_answer


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    return healthy(make_plan(tmp_path))


def wrong(facts: Facts, now: datetime = datetime(2026, 11, 24, 12, tzinfo=UTC)) -> tuple[str, ...]:
    return problems(facts, state(facts), now)


def changed(facts: Facts, host: str, **status: object) -> Facts:
    document = json.loads(recorded(f"etcd-status-{host}.json"))
    document[0]["Status"] |= status
    return with_answer(facts, host, run={ENDPOINT_STATUS: RunAnswer(0, json.dumps(document), "")})


def test_nothing_is_wrong(facts: Facts) -> None:
    assert wrong(facts) == ()


def test_members_that_are_ill_or_lost(facts: Facts) -> None:
    sick = with_answer(facts, "m2", run={ENDPOINT_HEALTH: RunAnswer(1, "[]", "Error: no leader")})
    assert wrong(sick) == ("m2: no quorum read through this member: Error: no leader",)
    answers = {name: answer for name, answer in sick.answers.items() if name != "m1"}
    lost = wrong(replace(sick, answers=answers, lost={"m1": "m1 (192.0.2.11): no route"}))
    assert lost[0] == "m1 (192.0.2.11): no route"
    assert lost[-1] == "etcd has no quorum: of 3 members 1 are healthy, and 2 must be"


def test_alarms(facts: Facts) -> None:
    assert wrong(changed(facts, "m1", errors=["alarm:NOSPACE"])) == ("m1: reports alarm:NOSPACE",)


def test_a_member_that_is_behind(facts: Facts) -> None:
    assert wrong(changed(facts, "m3", raftAppliedIndex=1008)) == ()
    assert wrong(changed(facts, "m1", raftAppliedIndex=1009))[0] == "m2: 1001 entries of raft's log behind"


@pytest.mark.parametrize(("in_use", "words"), [(10_000_000, "defragment it"), (90_000_000, "remove objects")])
def test_a_database_that_is_nearly_full(facts: Facts, in_use: int, words: str) -> None:
    full = changed(facts, "m1", dbSize=90_000_000, dbSizeInUse=in_use, dbSizeQuota=100_000_000)
    (problem,) = wrong(full)
    assert problem.startswith("m1: the database has 90.0 MB of 100.0 MB")
    assert words in problem


def test_the_timers_snapshot_is_missing(facts: Facts) -> None:
    assert wrong(facts, datetime(2026, 11, 25, 11, tzinfo=UTC)) == ()
    (problem,) = wrong(facts, datetime(2026, 11, 25, 11, 1, tzinfo=UTC))
    assert problem.startswith("the newest snapshot is older than 2 times 12h")


@pytest.mark.parametrize(
    ("voters", "allowed"),
    [
        (Voters(1, 1), True),
        (Voters(1, 0), False),
        (Voters(2, 2), False),
        (Voters(3, 3), True),
        (Voters(3, 2), False),
        (Voters(5, 4), True),
        (Voters(5, 3), False),
    ],
)
def test_members_are_defragmented_only_while_the_others_have_a_quorum(
    voters: Voters, *, allowed: bool
) -> None:
    found = EtcdState("demo", (), voters, ())
    if allowed:
        require_defragmentable(found)
    else:
        with pytest.raises(PreflightError, match="would lose its quorum"):
            require_defragmentable(found)

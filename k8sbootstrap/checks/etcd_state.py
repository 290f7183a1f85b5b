"""What is wrong with etcd, and whether its members can be defragmented."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from k8sbootstrap.checks.cluster import etcd
from k8sbootstrap.checks.framework import Status
from k8sbootstrap.errors import PreflightError
from k8sbootstrap.formats.text import count, megabytes
from k8sbootstrap.survey.cluster.facts import Facts
from k8sbootstrap.survey.cluster.parse import is_only_full
from k8sbootstrap.survey.status.bucket import BucketState
from k8sbootstrap.survey.status.etcd import EtcdState

MAX_LAG = 1000
"""Entries of raft's log that a member may be behind: they are read at slightly different moments."""
MISSED = 2
"""Times that the timer's snapshot may be late."""
FULL = 0.8
"""Part of the quota from which on the database counts as nearly full."""
_NO_SPACE = "NOSPACE"


def problems(
    facts: Facts, state: EtcdState, now: datetime, bucket: BucketState | None = None
) -> tuple[str, ...]:
    """All that is wrong, for people; empty when all is well.

    Args:
        facts: What was found.
        state: Computed from them.
        now: The time.
        bucket: What is in the bucket for snapshots, where there is one.
    """
    return (*_problems(facts, state, now), *(_of_bucket(facts, bucket, now) if bucket else ()))


def _problems(facts: Facts, state: EtcdState, now: datetime) -> Iterator[str]:
    for verdict in etcd.judge(facts):
        if verdict.status is Status.FAILED:
            host = verdict.host
            reason = facts.lost.get(host, verdict.message)
            yield reason if not host or reason.startswith(host) else f"{host}: {reason}"
    if not state.voters.have_quorum:
        yield (
            f"etcd has no quorum: of {count(state.voters.number, 'member')} {state.voters.healthy} are "
            f"healthy, and {state.voters.quorum} must be"
        )
    yield from _too_old(facts, state, now)
    for member in state.members:
        if member.version and state.lag(member) > MAX_LAG:
            yield f"{member.host}: {state.lag(member)} entries of raft's log behind"
        if member.quota and member.db_size > FULL * member.quota:
            kept = "defragment it" if member.db_in_use < FULL * member.quota else "remove objects"
            yield (
                f"{member.host}: the database has {megabytes(member.db_size)} of {megabytes(member.quota)}: "
                f"{kept}, or raise etcd's quota-backend-bytes; a full one takes no writes"
            )


def _too_old(facts: Facts, state: EtcdState, now: datetime) -> Iterator[str]:
    """The timer's snapshots, where two in a row are missing."""
    wanted = facts.plan.config.etcd.snapshots
    newest = next(iter(state.snapshots), None)
    if wanted.seconds and newest and age(newest.taken, now) > MISSED * wanted.seconds:
        yield (
            f"the newest snapshot is older than {MISSED} times {wanted.every}: journalctl -u etcd-snapshot "
            "on hosts of etcd says why"
        )


def _of_bucket(facts: Facts, bucket: BucketState, now: datetime) -> Iterator[str]:
    """A bucket that can't be listed, or that the timer's snapshots don't reach."""
    wanted = facts.plan.config.etcd.snapshots
    newest = next(iter(bucket.snapshots), None)
    if bucket.problem:
        yield f"{bucket.url} can't be read: {bucket.problem}"
    elif wanted.seconds and newest and age(newest.taken, now) > MISSED * wanted.seconds:
        yield (
            f"the newest snapshot in {bucket.url} is older than {MISSED} times {wanted.every}: journalctl -u "
            "etcd-snapshot on hosts of etcd says why"
        )


def is_full(state: EtcdState) -> bool:
    """Whether etcd takes no writes because a database has reached its quota."""
    return any(_NO_SPACE in alarm for each in state.members for alarm in each.alarms)


def space_aside(state: EtcdState) -> EtcdState:
    """The same state, in which a member counts as healthy whose only trouble is that etcd is full.

    etcdctl calls every member unhealthy while there is an alarm.
    """
    members = tuple(
        replace(each, healthy=True, message="") if is_only_full(each.message) else each
        for each in state.members
    )
    healthy = sum(each.healthy and not each.learner for each in members)
    return replace(state, members=members, voters=replace(state.voters, healthy=healthy))


def quorum_stays(state: EtcdState) -> bool:
    """Whether the others have a quorum while one member after another does not answer."""
    return state.voters.healthy - 1 >= state.voters.quorum


def require_defragmentable(state: EtcdState) -> None:
    """See that etcd serves on while one member after another does not answer.

    A single member can't, and one that is full takes no writes anyway: these need their quorum alone.

    Raises:
        PreflightError: It would not.
    """
    voters = state.voters
    if voters.have_quorum and (voters.number == 1 or is_full(state)):
        return
    if not quorum_stays(state):
        raise PreflightError(
            f"a member that is defragmented does not answer, and etcd would lose its quorum: of "
            f"{count(voters.number, 'member')} {voters.healthy} are healthy, and {voters.quorum} must be "
            "beside it. Nothing was changed.",
            hint="Bring back the members that are not healthy: k8sbootstrap etcd status names them.",
        )


def age(taken: datetime, now: datetime) -> float:
    """Seconds since a snapshot was taken; clocks may differ a little."""
    return max(0.0, (now - taken).total_seconds())

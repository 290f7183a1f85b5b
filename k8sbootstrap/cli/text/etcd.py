"""The state of etcd as a table and lines."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from k8sbootstrap.checks.etcd_state import age
from k8sbootstrap.formats.text import count, duration, megabytes
from k8sbootstrap.survey.status.bucket import BucketState
from k8sbootstrap.survey.status.etcd import EtcdState
from k8sbootstrap.survey.status.models import EtcdMemberStatus, EtcdSnapshot

_COLUMNS = ("MEMBER", "HEALTH", "ROLE", "VERSION", "TERM", "INDEX", "LAG", "DB", "IN USE", "QUOTA", "ALARMS")


def lines(found: EtcdState, now: datetime, bucket: BucketState | None = None) -> Iterator[RenderableType]:
    """Everything to print, from top to bottom."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in _COLUMNS:
        table.add_column(column, no_wrap=True, overflow="ignore")
    for member in found.members:
        table.add_row(*_row(found, member))
    yield table
    yield Text()
    voters = found.voters
    yield Text(
        f"Quorum: {voters.healthy} of {count(voters.number, 'member')} healthy, {voters.quorum} must be; "
        f"{voters.may_fail} may fail"
    )
    yield Text(f"Newest snapshot: {snapshot_line(next(iter(found.snapshots), None), now)}")
    if bucket:
        yield Text(f"In the bucket: {_bucket_line(bucket, now)}")


def snapshot_line(newest: EtcdSnapshot | None, now: datetime) -> str:
    """How old the newest snapshot is, and where it is."""
    if newest is None:
        return "none on any host of etcd that answers"
    old = duration(age(newest.taken, now), 0)
    return f"{old} old, {megabytes(newest.bytes)}, on {newest.host}: {newest.path}"


def _bucket_line(bucket: BucketState, now: datetime) -> str:
    if bucket.problem:
        return f"{bucket.url} can't be read"
    if not bucket.snapshots:
        return f"none in {bucket.url}"
    newest = bucket.snapshots[0]
    old = duration(age(newest.taken, now), 0)
    of = count(len(bucket.snapshots), "snapshot")
    return f"{of}, the newest {old} old, {megabytes(newest.bytes)}: {bucket.url}/{newest.object}"


def _row(found: EtcdState, member: EtcdMemberStatus) -> Iterator[RenderableType]:
    yield member.host
    words = "healthy" if member.healthy else f"unhealthy: {member.message}"
    yield Text(words, style="green" if member.healthy else "red")
    if not member.version:
        return
    yield "leader" if member.leader else "learner" if member.learner else "follower"
    yield from (member.version, str(member.term), str(member.index), str(found.lag(member)))
    yield from (megabytes(member.db_size), megabytes(member.db_in_use))
    yield megabytes(member.quota, 0) if member.quota else "-"
    yield Text(", ".join(member.alarms) or "-", style="red" if member.alarms else "")

"""The bucket that snapshots of etcd are uploaded to, as a host of etcd sees it.

Hosts upload, so hosts are asked: this machine need not reach the store.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter

from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.ask import Question, Session, ask, shown
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.resources import host_code_dir

_SECONDS_TO_LIST = 120.0
_SECONDS_OF_SILENCE = 15.0
"""Of the store, where somebody waits for it."""
_OBJECT = r"^[0-9a-f]{1,16}/\d{8}T\d{6}Z-[A-Za-z0-9_.-]{1,120}$"
_T = TypeVar("_T")


@dataclass(frozen=True)
class BucketSnapshot:
    """A snapshot in the bucket."""

    object: str
    """CLUSTER/NAME, where CLUSTER is etcd's own id of its cluster."""
    bytes: int
    taken: datetime
    """When it was taken, UTC."""


@dataclass(frozen=True)
class BucketState:
    """What is in the bucket."""

    url: str
    """The folder of the cluster, such as s3://backups/demo."""
    snapshots: tuple[BucketSnapshot, ...] = ()
    """The newest first."""
    problem: str = ""
    """Why it could not be listed."""


@dataclass(frozen=True)
class Failed:
    """What the program on the host prints where it could not do what was wanted."""

    problem: Annotated[str, Field(max_length=10_000)]


@dataclass(frozen=True)
class _Entry:
    object: Annotated[str, Field(pattern=_OBJECT)]
    bytes: Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True)
class _Listed:
    entries: Annotated[list[_Entry], Field(max_length=200_000)]


@dataclass(frozen=True)
class _Checked:
    done: bool


_LISTED: TypeAdapter[_Listed | Failed] = TypeAdapter(_Listed | Failed)
_CHECKED: TypeAdapter[_Checked | Failed] = TypeAdapter(_Checked | Failed)


def url_of(store: Mapping[str, Any]) -> str:
    """The folder of the cluster in the bucket, for people."""
    return f"s3://{store['bucket']}/{store['folder']}"


def look_in_bucket(plan: ClusterPlan, pool: Pool, host: str, store: Mapping[str, Any]) -> BucketState:
    """List the snapshots in the bucket. Changes nothing.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        host: The host that is asked; where none answers it is empty.
        store: What ``inventory.snapshot_store.read_store`` returned.
    """
    url = url_of(store)
    if not host:
        return BucketState(url, problem="no host of etcd answers that could look into it")
    wanted = {"do": "list", "store": {**store, "seconds": _SECONDS_OF_SILENCE}}
    try:
        listed = ask_bucket(plan, pool, host, wanted, _LISTED, timeout=_SECONDS_TO_LIST)
        found = [BucketSnapshot(each.object, each.bytes, _taken(each.object)) for each in listed.entries]
    except (HostError, ValueError) as exc:
        return BucketState(url, problem=str(exc))
    return BucketState(url, tuple(sorted(found, key=lambda each: each.taken, reverse=True)))


def ask_bucket(
    plan: ClusterPlan,
    pool: Pool,
    host: str,
    wanted: Mapping[str, Any],
    form: TypeAdapter[_T | Failed],
    *,
    timeout: float,
) -> _T:
    """Have a host do something with the bucket: see ``kube/etcd_bucket.py``.

    The secret goes there through the connection, and is in no command line.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        host: The host.
        wanted: What it is to do.
        form: What it answers.
        timeout: Seconds that it may take.

    Raises:
        HostError: It could not.
    """
    hosts = Hosts(pool, (each.ssh for each in plan.hosts))
    answer = hosts.question(host, _question(wanted), form, timeout=timeout)
    if isinstance(answer, Failed):
        raise HostError(f"{host}: {shown(answer.problem, 2000)}")
    return answer


def trouble(host: str, session: Session, store: Mapping[str, Any]) -> str:
    """Why a host can't use the bucket; empty where it can.

    Raises:
        HostError: The host gives no answer.
    """
    wanted = {"do": "check", "store": {**store, "seconds": _SECONDS_OF_SILENCE}}
    answer = ask(host, session, _question(wanted), _CHECKED, timeout=_SECONDS_TO_LIST)
    return shown(answer.problem, 500) if isinstance(answer, Failed) else ""


def _question(wanted: Mapping[str, Any]) -> Question:
    return Question(host_code_dir().joinpath("kube", "etcd_bucket.py").read_bytes(), json.dumps(wanted))


def _taken(name: str) -> datetime:
    """When a snapshot was taken, as its name says.

    Raises:
        ValueError: There is no such time.
    """
    stamp = name.partition("/")[2][:16]
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

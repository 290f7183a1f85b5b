"""Brings snapshots of etcd from their host to a bucket, and from there to a host."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from k8sbootstrap.actions.snapshot import Snapshot
from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.ask import shown
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.status.bucket import Failed, ask_bucket, url_of

_SECONDS_TO_MOVE = 7200.0
_Number = Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True)
class _Uploaded:
    object: Annotated[str, Field(pattern="^[A-Za-z0-9_./-]+$", max_length=1000)]
    bytes: _Number
    removed: _Number
    not_removed: Annotated[str, Field(max_length=10_000)]


@dataclass(frozen=True)
class _Fetched:
    path: Annotated[str, Field(pattern="^/[A-Za-z0-9_./-]+$", max_length=1000)]
    bytes: _Number
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class _Done:
    done: bool


_UPLOADED: TypeAdapter[_Uploaded | Failed] = TypeAdapter(_Uploaded | Failed)
_FETCHED: TypeAdapter[_Fetched | Failed] = TypeAdapter(_Fetched | Failed)
_DONE: TypeAdapter[_Done | Failed] = TypeAdapter(_Done | Failed)


def upload(plan: ClusterPlan, pool: Pool, snapshot: Snapshot, store: Mapping[str, Any]) -> str:
    """Have a host upload a snapshot, and remove old ones of its kind from the bucket.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        snapshot: On a host.
        store: What ``inventory.snapshot_store.read_store`` returned.

    Returns:
        Where it is, such as s3://backups/demo/1f/20261129T191204Z-on-demand.db.gz.

    Raises:
        HostError: It is not in the bucket, or old ones could not be removed.
    """
    wanted = {"do": "upload", "store": store, "path": snapshot.path}
    kept = f"The snapshot itself is kept on {snapshot.host}: {snapshot.path}."
    try:
        done = ask_bucket(plan, pool, snapshot.host, wanted, _UPLOADED, timeout=_SECONDS_TO_MOVE)
    except HostError as exc:
        raise HostError(f"the snapshot is not in {url_of(store)}: {exc}", hint=kept) from exc
    if done.not_removed:
        raise HostError(f"{snapshot.host}: {shown(done.not_removed, 2000)}", hint=kept)
    return f"s3://{store['bucket']}/{done.object}"


def fetch(plan: ClusterPlan, pool: Pool, host: str, store: Mapping[str, Any], name: str) -> Snapshot:
    """Have a snapshot of the bucket on a host, until ``forget``.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        host: The host.
        store: What ``inventory.snapshot_store.read_store`` returned.
        name: CLUSTER/NAME.

    Raises:
        HostError: It could not be fetched, or arrived damaged.
    """
    wanted = {"do": "fetch", "store": store, "object": name}
    try:
        done = ask_bucket(plan, pool, host, wanted, _FETCHED, timeout=_SECONDS_TO_MOVE)
    except HostError as exc:
        raise HostError(
            f"{name} can't be fetched from {url_of(store)}: {exc}",
            hint="Nothing was changed. Fix this, then run the same command again.",
        ) from exc
    return Snapshot(host, done.path, done.bytes, done.sha256)


def forget(plan: ClusterPlan, pool: Pool, host: str) -> None:
    """Remove what was fetched.

    Raises:
        HostError: The host does not answer.
    """
    ask_bucket(plan, pool, host, {"do": "forget"}, _DONE, timeout=60)

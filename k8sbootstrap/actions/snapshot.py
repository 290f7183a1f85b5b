"""Takes snapshots of etcd on its hosts, and brings them to this machine."""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter

from k8sbootstrap.errors import HostError, K8sBootstrapError
from k8sbootstrap.hosts.ask import Question, shown
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.private_files import PRIVATE
from k8sbootstrap.resources import host_code_dir
from k8sbootstrap.survey.cluster.parse import is_only_full
from k8sbootstrap.survey.cluster.requests import SNAPSHOT_FOLDER
from k8sbootstrap.survey.status.models import EtcdMemberStatus
from k8sbootstrap.survey.upgrade.models import PendingUpgrade
from k8sbootstrap.survey.upgrade.observe import Running

KEPT = 3
"""Snapshots before upgrades that stay on a host."""
KEPT_ON_DEMAND, DAYS_ON_DEMAND = 10, 30
_TIMEOUT = 1800.0
_BLOCK = 12 << 20
"""Bytes of one answer; hosts may print more than twice as much."""
_Path = Annotated[str, Field(pattern="^/[A-Za-z0-9_./-]+$", max_length=1000)]
_Number = Annotated[int, Field(ge=0, lt=2**63)]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Snapshot:
    """A snapshot on a host."""

    host: str
    path: str
    bytes: int
    sha256: str = ""
    """Of the file, hexadecimal."""
    revision: int = 0
    """Of the data in it; 0 where the host could not tell."""


@dataclass(frozen=True)
class _Failed:
    """What the program on the host prints where something failed."""

    problem: Annotated[str, Field(max_length=10_000)]


@dataclass(frozen=True)
class _Taken:
    path: _Path
    bytes: _Number
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    revision: _Number
    keys: _Number


@dataclass(frozen=True)
class _Read:
    block: Annotated[str, Field(max_length=2 * _BLOCK)]


_TAKEN: TypeAdapter[_Taken | _Failed] = TypeAdapter(_Taken | _Failed)
_READ: TypeAdapter[_Read | _Failed] = TypeAdapter(_Read | _Failed)


def source(members: Iterable[EtcdMemberStatus]) -> str:
    """The host of a healthy member, one that does not lead where there is one. It may be full.

    Raises:
        HostError: No member is healthy.
    """
    healthy = sorted(
        (
            member
            for member in members
            if (member.healthy or is_only_full(member.message)) and not member.learner
        ),
        key=lambda member: member.leader,
    )
    if not healthy:
        raise HostError(
            "no etcd member is healthy, so no snapshot can be taken",
            hint="Repair etcd first: k8sbootstrap etcd status, and journalctl -u etcd on its hosts.",
        )
    return healthy[0].host


def take_before_upgrade(plan: ClusterPlan, pool: Pool, running: Running, upgrade: PendingUpgrade) -> Snapshot:
    """Take a snapshot before an upgrade changes anything.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        running: How its members are.
        upgrade: What it is taken for; its file is named after it.

    Raises:
        HostError: It could not be taken, or is damaged.
    """
    before = upgrade.before[0] if upgrade.before else upgrade.version
    label = f"before-{upgrade.version}-from-{before}"
    return take(plan, pool, source(running.status.etcd), label, keep=KEPT)


def take(plan: ClusterPlan, pool: Pool, host: str, label: str, *, keep: int, days: int = 0) -> Snapshot:
    """Take a snapshot on a host; it stays there.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        host: Whose member is asked.
        label: Goes into its name; the first word is its kind.
        keep: How many of this kind stay on the host.
        days: How long they stay, but for the newest; 0 where that does not count.

    Raises:
        HostError: It could not be taken, or is damaged.
    """
    wanted = {"do": "take", "folder": SNAPSHOT_FOLDER, "label": label, "keep": keep, "days": days}
    taken = _ask(plan, pool, host, wanted, _TAKEN)
    return Snapshot(host, taken.path, taken.bytes, taken.sha256, taken.revision)


def download(
    plan: ClusterPlan, pool: Pool, snapshot: Snapshot, target: Path, status: Callable[[int], None]
) -> str:
    """Bring a snapshot to this machine, readable by its user alone.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        snapshot: On a host. Where its ``sha256`` is known, what arrives must have it.
        target: The file, which is there when it is whole.
        status: Told how many bytes have arrived.

    Returns:
        Its sha256.

    Raises:
        HostError: It could not be read there, or arrived damaged.
        K8sBootstrapError: The file can't be written.
    """
    partial = target.with_name(f".{target.name}.partial")
    digest, done = hashlib.sha256(), 0
    try:
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
            while done < snapshot.bytes:
                wanted = {"do": "read", "path": snapshot.path, "offset": done, "length": _BLOCK}
                block = _bytes(_ask(plan, pool, snapshot.host, wanted, _READ).block)
                if not block:
                    break
                file.write(block)
                digest.update(block)
                done += len(block)
                status(done)
            file.flush()
            os.fsync(file.fileno())
        if done != snapshot.bytes or snapshot.sha256 not in {"", digest.hexdigest()}:
            raise HostError(
                f"{snapshot.host}: {snapshot.path} changed while it was copied: {done} of {snapshot.bytes} "
                "bytes arrived",
                hint="Run the same command again.",
            )
        partial.replace(target)
    except OSError as exc:
        raise K8sBootstrapError(
            f"{target} can't be written: {exc.strerror}", hint="Free disk space, or name another file."
        ) from exc
    finally:
        with suppress(OSError):
            partial.unlink()
    return digest.hexdigest()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""  # then too little arrives


def _ask(
    plan: ClusterPlan, pool: Pool, host: str, wanted: dict[str, Any], form: TypeAdapter[_T | _Failed]
) -> _T:
    program = host_code_dir().joinpath("kube", "etcd_snapshot.py").read_bytes()
    hosts = Hosts(pool, (each.ssh for each in plan.hosts))
    try:
        answer = hosts.question(host, Question(program, json.dumps(wanted)), form, timeout=_TIMEOUT)
        if not isinstance(answer, _Failed):
            return answer
        problem = answer.problem
    except HostError as exc:
        problem = str(exc)
    what = (
        "no snapshot of etcd could be taken" if wanted["do"] == "take" else f"{wanted['path']} can't be read"
    )
    raise HostError(
        f"{host}: {what}: {shown(problem, 2000)}",
        hint="Nothing was changed. Fix this, then run the same command again.",
    )

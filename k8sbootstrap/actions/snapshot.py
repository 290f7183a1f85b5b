"""Takes a snapshot of etcd before an upgrade changes anything."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Annotated

from pydantic import Field, TypeAdapter

from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.ask import Question
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.cluster.requests import etcdctl
from k8sbootstrap.survey.upgrade.models import PendingUpgrade
from k8sbootstrap.survey.upgrade.observe import Running

FOLDER = "/var/lib/k8sbootstrap/etcd-snapshots"
KEPT = 3
_TIMEOUT = 900.0


@dataclass(frozen=True)
class Snapshot:
    """A snapshot on a host."""

    host: str
    path: str
    bytes: int


@dataclass(frozen=True)
class _Taken:
    """What the program on the host prints."""

    path: Annotated[str, Field(pattern="^/[A-Za-z0-9_./-]+$", max_length=1000)]
    bytes: Annotated[int, Field(ge=0)]


_TAKEN = TypeAdapter(_Taken)


def take_snapshot(plan: ClusterPlan, pool: Pool, running: Running, upgrade: PendingUpgrade) -> Snapshot:
    """Take a snapshot on a healthy member, one that does not lead where there is one.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        running: How its members are.
        upgrade: What it is taken for; its file is named after it.

    Raises:
        HostError: It could not be taken, or is damaged.
    """
    members = sorted(
        (member for member in running.status.etcd if member.healthy), key=lambda member: member.leader
    )
    if not members:
        raise HostError(
            "no etcd member is healthy, so no snapshot can be taken",
            hint="Repair etcd first: journalctl -u etcd on its hosts shows what is wrong.",
        )
    host = members[0].host
    before = upgrade.before[0] if upgrade.before else upgrade.version
    wanted = {
        "etcdctl": list(etcdctl().argv),
        "folder": FOLDER,
        "name": f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-before-{upgrade.version}-from-{before}.db",
        "keep": KEPT,
    }
    script = files("k8sbootstrap.hosts.scripts").joinpath("snapshot.py").read_bytes()
    hosts = Hosts(pool, (each.ssh for each in plan.hosts))
    try:
        taken = hosts.question(host, Question(script, json.dumps(wanted)), _TAKEN, timeout=_TIMEOUT)
    except HostError as exc:
        raise HostError(
            f"{host}: no snapshot of etcd could be taken: {exc}",
            hint="Nothing was changed. Fix this, then run the same command again.",
        ) from exc
    return Snapshot(host, taken.path, taken.bytes)

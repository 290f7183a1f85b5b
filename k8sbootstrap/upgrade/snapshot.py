"""A snapshot of etcd before anything of an upgrade is done."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from k8sbootstrap.errors import HostError
from k8sbootstrap.plan.models import ClusterPlan, SSHTarget
from k8sbootstrap.upgrade.look import Running
from k8sbootstrap.upgrade.models import Upgrade
from k8sbootstrap.verify.answers import AGENT_COMMAND
from k8sbootstrap.verify.hosts import Hosts, Session, open_ssh
from k8sbootstrap.verify.requests import etcdctl

FOLDER = "/var/lib/k8sbootstrap/etcd-snapshots"
KEPT = 3
_TIMEOUT = 900.0


@dataclass(frozen=True)
class Snapshot:
    """A snapshot on a host."""

    host: str
    path: str
    bytes: int


def take_snapshot(
    plan: ClusterPlan,
    running: Running,
    upgrade: Upgrade,
    *,
    connect: Callable[[SSHTarget], Session] = open_ssh,
) -> Snapshot:
    """Take a snapshot on a healthy member, one that does not lead where there is one.

    Args:
        plan: The cluster.
        running: How its members are.
        upgrade: What it is taken for; its file is named after it.
        connect: Opens a session to a host; a parameter for tests.

    Raises:
        HostError: It could not be taken, or is damaged.
    """
    members = sorted(
        (member for member in running.status.etcd if member.healthy), key=lambda member: member.leader
    )
    if not members:
        raise HostError("no etcd member is healthy: no snapshot can be taken", hint="mend etcd first")
    host = members[0].host
    before = upgrade.before[0] if upgrade.before else upgrade.version
    wanted = {
        "etcdctl": list(etcdctl().argv),
        "folder": FOLDER,
        "name": f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-before-{upgrade.version}-from-{before}.db",
        "keep": KEPT,
    }
    script = files("k8sbootstrap.upgrade").joinpath("host_snapshot.py").read_bytes()
    with Hosts((each.ssh for each in plan.hosts), connect) as hosts:
        stdin = json.dumps(wanted).encode() + b"\n" + script
        ran = hosts.run(host, AGENT_COMMAND, stdin=stdin, timeout=_TIMEOUT)
    if ran.rc != 0:
        raise HostError(
            f"{host}: no snapshot of etcd could be taken: {ran.said}",
            hint="nothing was changed; mend that and run the same command again",
        )
    return Snapshot(host, **json.loads(ran.stdout))

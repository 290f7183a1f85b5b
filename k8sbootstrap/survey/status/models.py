"""What ``k8sbootstrap status`` shows. Field names are those of its JSON output."""

from dataclasses import dataclass
from datetime import datetime, timedelta

EXPIRY_WARNING = timedelta(days=30)
"""Certificates with less time left than this are pointed out."""


@dataclass(frozen=True)
class Certificate:
    """One certificate on a host."""

    path: str
    """Its file; kubeconfigs count as files of their client certificate."""
    subject: str
    """Common name."""
    not_after: datetime
    """End of its validity, UTC."""
    days_left: int
    """Whole days until then; negative when it has expired."""


@dataclass(frozen=True)
class ComponentStatus:
    """One component on one host."""

    name: str
    version: str
    """Version of what is installed; empty when it cannot be told."""
    healthy: bool
    message: str
    """What is wrong; empty when healthy."""


@dataclass(frozen=True)
class HostStatus:
    """One host."""

    name: str
    address: str
    roles: tuple[str, ...]
    reachable: bool
    error: str
    """Why it cannot be reached; empty when it can."""
    os: str = ""
    kernel: str = ""
    runtime: str = ""
    """Name and version of the container runtime; empty on hosts without one."""
    components: tuple[ComponentStatus, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    """Soonest to expire first."""


@dataclass(frozen=True)
class EtcdMemberStatus:
    """One etcd member."""

    host: str
    healthy: bool
    message: str
    """What is wrong; empty when healthy."""
    leader: bool = False
    id: str = ""
    """Its id in etcd, hexadecimal."""
    version: str = ""
    db_size: int = 0
    """Bytes."""
    db_in_use: int = 0
    """Bytes of them that a defragmentation would keep."""
    quota: int = 0
    """Bytes that the database may have; 0 where the member does not say."""
    learner: bool = False
    """Whether it has no vote yet."""
    term: int = 0
    """Raft's term."""
    index: int = 0
    """Of the last entry of raft's log that it has applied."""
    revision: int = 0
    """Goes up with every change of the data."""
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class EtcdSnapshot:
    """A snapshot of etcd on a host."""

    host: str
    path: str
    bytes: int
    taken: datetime
    """When it was taken, UTC."""


@dataclass(frozen=True)
class NodeStatus:
    """One node, planned or not."""

    name: str
    ready: bool
    message: str
    """Why it is not Ready; empty when it is."""
    planned: bool
    """Whether cluster.yaml has a host of this name."""
    schedulable: bool = False
    version: str = ""
    internal_ip: str = ""
    pod_cidr: str = ""


@dataclass(frozen=True)
class ClusterStatus:
    """The status of the whole cluster."""

    cluster: str
    version: str
    """Kubernetes release that cluster.yaml asks for."""
    api_endpoint: str
    api_error: str
    """Why no API server answered; empty when one did."""
    hosts: tuple[HostStatus, ...]
    etcd: tuple[EtcdMemberStatus, ...]
    nodes: tuple[NodeStatus, ...]
    etcd_snapshot: EtcdSnapshot | None = None
    """The newest one on any host."""
    virtual_ip: str = ""
    """The virtual IP of the API according to cluster.yaml; empty without one."""
    virtual_ip_on: tuple[str, ...] = ()
    """Masters that have it: one, unless something is wrong."""

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
    version: str = ""
    db_size: int = 0
    """Bytes."""


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

"""Which host connects to which port of which other host."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

from k8sbootstrap.plan.components import COMPONENTS, is_placed, port_number
from k8sbootstrap.plan.models import ClusterPlan, HostPlan

Protocol = Literal["tcp", "udp"]


@dataclass(frozen=True)
class Connection:
    """What one host must be able to send to another."""

    source: str
    """Name of the host that connects."""
    target: str
    """Name of the host that listens."""
    protocol: Protocol
    port: int
    used_by: str
    """The component that listens, or the pod network."""


@dataclass(frozen=True)
class PodNetworkPort:
    """A port at which nodes take what other nodes send for pods."""

    plugin: str
    """``network.plugin``."""
    protocol: Protocol
    number: int
    key: str = ""
    """Setting of the plugin that decides; empty where it always has the port."""
    values: tuple[str, ...] = ()
    """Values of that setting for which it has."""


POD_NETWORK_PORTS = (
    PodNetworkPort("flannel", "udp", 8472, "backend", ("vxlan",)),
    PodNetworkPort("flannel", "udp", 51820, "backend", ("wireguard",)),
    PodNetworkPort("calico", "tcp", 179, "encapsulation", ("ipip", "none")),
    PodNetworkPort("calico", "udp", 4789, "encapsulation", ("vxlan",)),
    PodNetworkPort("cilium", "tcp", 4240),
    PodNetworkPort("cilium", "udp", 8472, "routing", ("vxlan",)),
    PodNetworkPort("cilium", "udp", 6081, "routing", ("geneve",)),
)
"""Sources: documentation of flannel ("Backends"), calico ("System requirements"), cilium ("Firewall rules").

The routed network has none between nodes on one network: they send each other pods' own packets.
"""


def connections(plan: ClusterPlan, hosts: Sequence[HostPlan]) -> Iterator[Connection]:
    """All connections between hosts that the components and the pod network need.

    Args:
        plan: The cluster.
        hosts: Those of its hosts to consider.
    """
    for source, target in permutations(hosts, 2):
        for component in COMPONENTS:
            if not component.runs_on(plan, target):
                continue
            for port in component.ports:
                if any(is_placed(client, plan, source) for client in port.clients):
                    number = port_number(port.number, plan)
                    yield Connection(source.name, target.name, "tcp", number, component.name)
        if source.is_node and target.is_node:
            for protocol, number in _pod_network(plan):
                yield Connection(source.name, target.name, protocol, number, plan.config.network.plugin)


def _pod_network(plan: ClusterPlan) -> Iterator[tuple[Protocol, int]]:
    network = plan.config.network
    for port in POD_NETWORK_PORTS:
        settings = getattr(network, port.plugin) if network.plugin == port.plugin else None
        if settings and (not port.key or getattr(settings, port.key) in port.values):
            yield port.protocol, port.number

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
    """What nodes send each other for pods. The routed network sends pods' own packets between most nodes.

    The numbers are in the documentation of flannel ("Backends"), calico ("System requirements") and cilium
    ("System Requirements", firewall rules).
    """
    network = plan.config.network
    if network.plugin == "flannel" and network.flannel.backend == "vxlan":
        yield "udp", 8472
    if network.plugin == "flannel" and network.flannel.backend == "wireguard":
        yield "udp", 51820
    if network.plugin == "calico":
        if network.calico.encapsulation == "vxlan":
            yield "udp", 4789
        else:
            yield "tcp", 179
    if network.plugin == "cilium":
        yield "tcp", 4240
        if network.cilium.routing != "native":
            yield "udp", {"vxlan": 8472, "geneve": 6081}[network.cilium.routing]

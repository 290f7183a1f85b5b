"""Rules about address ranges and the API's names."""

from collections.abc import Iterator
from ipaddress import IPv4Address

from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.models.network import DEFAULT_ENDPOINT_PORT
from k8sbootstrap.config.rules.finding import Finding
from k8sbootstrap.config.rules.syntax import MAX_PORT, is_dns_name, is_ip, is_ipv4

_SERVICE_PREFIXES = range(12, 25)
"""The apiserver takes no range larger than /12; one smaller than /24 is soon full."""
_FREE_ADDRESS = "use a free address of the network that the masters are on"
_NODE_CIDR_BITS = 16
"""The controller-manager hands out at most 2**16 node ranges."""


def ranges(draft: Draft) -> Iterator[Finding]:
    """The ranges of pods and Services have sizes that Kubernetes can work with, and room for every node."""
    network = draft.network
    if network is None:
        return
    if network.service_cidr.prefixlen not in _SERVICE_PREFIXES:
        size = "large" if network.service_cidr.prefixlen < _SERVICE_PREFIXES[0] else "small"
        fix = f"use a prefix length from /{_SERVICE_PREFIXES[0]} to /{_SERVICE_PREFIXES[-1]}"
        yield Finding(("network", "serviceCIDR"), f"{network.service_cidr} is too {size}", fix)
    bits = network.node_cidr_mask_size - network.pod_cidr.prefixlen
    if bits > _NODE_CIDR_BITS:
        yield Finding(
            ("network", "nodeCIDRMaskSize"),
            f"{network.pod_cidr} contains more /{network.node_cidr_mask_size} ranges than "
            "Kubernetes can assign to nodes",
            f"use {network.pod_cidr.prefixlen + _NODE_CIDR_BITS} or less, or a smaller podCIDR",
        )
        return
    nodes = sum(bool({"master", "worker"} & set(host.roles)) for host in draft.hosts.values())
    room = 2**bits if bits >= 0 else 0
    if nodes > room or room == 0:
        yield Finding(
            ("network", "podCIDR"),
            f"{network.pod_cidr} has space for {room} nodes with a "
            f"/{network.node_cidr_mask_size} each, not for {nodes}",
            "use a larger podCIDR or a larger nodeCIDRMaskSize",
        )


def plugin(draft: Draft) -> Iterator[Finding]:
    """Settings are those of the pod network that is chosen."""
    network = draft.network
    if network is None:
        return
    for name in ("flannel", "calico", "cilium"):
        if name != network.plugin and getattr(network, name) != type(getattr(network, name))():
            fix = f"remove them, or set network.plugin: {name}"
            yield Finding(("network", name), f"the pod network is {network.plugin}", fix)


def overlaps(draft: Draft) -> Iterator[Finding]:
    """Pods, Services and hosts have addresses of their own."""
    network = draft.network
    if network is None:
        return
    if network.pod_cidr.overlaps(network.service_cidr):
        yield Finding(
            ("network", "serviceCIDR"),
            f"{network.service_cidr} overlaps podCIDR {network.pod_cidr}",
            "choose two ranges that do not overlap",
        )
    for index, host in draft.hosts.items():
        own = {"address": host.address, "privateAddress": str(host.private_address)}
        for key, address in own.items():
            for name, cidr in (("podCIDR", network.pod_cidr), ("serviceCIDR", network.service_cidr)):
                if is_ipv4(address) and IPv4Address(address) in cidr:
                    yield Finding(
                        ("hosts", index, key),
                        f"{address} is inside {name} {cidr}",
                        f"set network.{name} to a range that contains no host",
                    )


def endpoint(draft: Draft) -> Iterator[Finding]:
    """An API endpoint is HOST or HOST:PORT."""
    if draft.api is None or draft.api.endpoint is None:
        return
    given = draft.api.endpoint
    host, colon, port = given.partition(":")
    good_port = not colon or (port.isdecimal() and 0 < int(port) <= MAX_PORT)
    if not good_port or not (is_ipv4(host) or is_dns_name(host)):
        fix = "write HOST or HOST:PORT with a DNS name or IPv4 address, such as api.example.com:6443"
        yield Finding(("api", "endpoint"), f'"{given}" is not an endpoint', fix)


def virtual_ip(draft: Draft) -> Iterator[Finding]:
    """The API's virtual IP is a free address that hosts can have, and no endpoint leads elsewhere."""
    api = draft.api
    wanted = api.virtual_ip if api else None
    if api is None or wanted is None:
        return
    where = ("api", "virtualIP")
    if wanted.is_loopback or wanted.is_multicast or wanted.is_unspecified:
        yield Finding(where, f"no host can have the address {wanted}", _FREE_ADDRESS)
    for index, host in draft.hosts.items():
        if str(wanted) in {host.address, str(host.private_address)}:
            yield Finding(where, f"{wanted} is the address of hosts[{index}]", _FREE_ADDRESS)
    ranges = (
        {"podCIDR": draft.network.pod_cidr, "serviceCIDR": draft.network.service_cidr}
        if draft.network
        else {}
    )
    for name, cidr in ranges.items():
        if wanted in cidr:
            yield Finding(where, f"{wanted} is inside {name} {cidr}", _FREE_ADDRESS)
    if api.endpoint and not _leads_to(api.endpoint, wanted, api.port):
        yield Finding(
            where,
            f"api.endpoint {api.endpoint} leads to another address or port than {wanted}:{api.port}",
            f"remove one of the two, or let the endpoint be a DNS name of {wanted} and the port {api.port}",
        )


def _leads_to(endpoint: str, address: IPv4Address, port: int) -> bool:
    """Whether an endpoint is an address and a port, or a name that may be the address's."""
    host, _, given = endpoint.partition(":")
    return (host == str(address) or not is_ipv4(host)) and (given or str(DEFAULT_ENDPOINT_PORT)) == str(port)


def extra_sans(draft: Draft) -> Iterator[Finding]:
    """Extra names in the API server's certificate are DNS names (also wildcards) or IP addresses."""
    for index, name in enumerate(draft.api.extra_sans if draft.api else []):
        if not is_ip(name) and not is_dns_name(name.removeprefix("*.")):
            yield Finding(
                ("api", "extraSANs", index),
                f'"{name}" is neither a DNS name nor an IP address',
                "write it without https:// and port, like api.example.com",
            )

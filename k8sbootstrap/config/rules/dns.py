"""Rules about the cluster's DNS."""

import ipaddress
from collections.abc import Iterator

from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.rules.finding import Finding

_LAST_PORT = 65535


def upstream(draft: Draft) -> Iterator[Finding]:
    """Servers for names outside of the cluster have addresses and ports that exist."""
    for index, server in enumerate((draft.dns and draft.dns.upstream) or ()):
        if not _is_server(server):
            fix = "write ADDRESS or ADDRESS:PORT, such as 192.0.2.53"
            yield Finding(("dns", "upstream", index), f'"{server}" is not a DNS server', fix)


def _is_server(server: str) -> bool:
    address, _, port = server.partition(":")
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        return False
    return not port or 1 <= int(port) <= _LAST_PORT


def replicas(draft: Draft) -> Iterator[Finding]:
    """dns.replicas and dns.autoscale exclude each other, and the most pods are not fewer than the least."""
    dns = draft.dns
    if dns is None or dns.autoscale is None:
        return
    place = ("dns", "autoscale")
    if dns.replicas is not None:
        yield Finding(place, "would change the number in dns.replicas", "remove one of the two")
    if dns.autoscale.max is not None and dns.autoscale.max < dns.autoscale.min:
        yield Finding((*place, "max"), f"is less than min, {dns.autoscale.min}", "use a greater number")


def without_coredns(draft: Draft) -> Iterator[Finding]:
    """Settings that need CoreDNS are used with CoreDNS only."""
    dns = draft.dns
    if dns is None or dns.name == "coredns":
        return
    for key, is_set in (("autoscale", dns.autoscale is not None), ("nodeLocalCache", dns.node_local_cache)):
        if is_set:
            yield Finding(("dns", key), "needs CoreDNS, but dns.name is none", "remove one of the two")

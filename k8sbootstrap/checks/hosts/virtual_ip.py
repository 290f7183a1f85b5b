"""Can the API have its virtual IP?"""

from ipaddress import IPv4Address

from k8sbootstrap.checks.framework import Verdict, failed, passed, skipped
from k8sbootstrap.checks.hosts.base import HostCase, names
from k8sbootstrap.survey.facts import Address

_KEEPALIVED = "/etc/keepalived/keepalived.conf"
"""A host that has this file from this tool may have the virtual IP."""
_FREE = "Set api.virtualIP to an address that is free."


def virtual_ip(case: HostCase) -> Verdict:
    """The virtual IP of the API is on the network of the master's own address, and no other has it.

    Fix: Set `api.virtualIP` to a free address of the network that all masters are on. If they are on several
    networks, use a load balancer of your own, and `api.endpoint` ([reach the API](api.md)).
    """
    wanted = case.plan.config.api.virtual_ip
    if wanted is None or not case.plan.shares_virtual_ip(case.host):
        return passed("not used on this host")
    addresses = case.facts.addresses
    if addresses is None:
        return skipped("the ip command is not installed")
    own = next((each for each in addresses if each.interface.ip == case.host.private_address), None)
    if own is None:
        return skipped(f"no interface has the address {case.host.private_address}")
    network = own.interface.network
    if not _is_on(wanted, own):
        return failed(
            f"{wanted} is no address of the network {network}, which this master is on by {own.device}",
            f"Set api.virtualIP to a free address of {network}. If the masters are on several networks, use "
            "a load balancer of your own, and api.endpoint.",
        )
    problem = _taken(case, wanted)
    return failed(problem, _FREE) if problem else passed(f"{wanted} on {own.device}")


def _is_on(wanted: IPv4Address, own: Address) -> bool:
    network = own.interface.network
    return wanted in network and wanted not in {network.network_address, network.broadcast_address}


def _taken(case: HostCase, wanted: IPv4Address) -> str:
    """Who has the address that should not; empty where nobody has."""
    holders = [
        name
        for name, seen in case.seen.items()
        if wanted in {address.interface.ip for address in seen.facts.addresses or ()}
    ]
    others = [name for name in holders if _KEEPALIVED not in case.seen[name].facts.recorded]
    if others:
        return f"{wanted} is already an address of {names(others)}"
    # a master that did not answer may have it
    if case.facts.answers_at and not holders and all(host.name in case.seen for host in case.plan.masters):
        return f"a machine with the link-layer address {case.facts.answers_at} already answers at {wanted}"
    return ""

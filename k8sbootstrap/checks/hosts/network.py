"""Checks of ports and address ranges."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from k8sbootstrap.checks.framework import Verdict, failed, passed, skipped, warning
from k8sbootstrap.checks.hosts.base import HostCase, names
from k8sbootstrap.plan.components import components_of, port_number
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.connections import LISTENER
from k8sbootstrap.survey.facts import HostFacts, Listener

OWN_DEVICES = frozenset({"cni0", "k8s-vxlan", "docker0", "nodelocaldns"})
"""Interfaces that this tool's own components make."""
OWN_PROTOCOL = "75"
"""Mark of the routes that the pod network makes."""
_EVERYWHERE = frozenset({"0.0.0.0", "*", "[::]"})  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True)
class _Port:
    number: int
    unit: str
    """Who needs it."""
    local: bool = False
    """Needed on 127.0.0.1 alone."""


_MAKES_WAY = {"kube-apiserver.service": "haproxy.service"}
"""What holds a port until the component takes it off: on workers that become masters."""


def ports(case: HostCase) -> Verdict:
    """Every TCP port that the host's components need is free, or held by this cluster's own component.

    Fix: Stop and disable the program that listens there, or move it to another port. `ss -ltnp` shows it.
    """
    listeners = case.facts.listeners
    if listeners is None:
        return skipped("the ss command is not installed")
    wanted = list(_ports(case.plan, case.host))
    taken = [
        f"{port.number} (for {port.unit.removesuffix('.service')}) by {_holder(listener)}"
        for port in wanted
        for listener in listeners
        if listener.port == port.number
        and listener.process != LISTENER  # of a preflight that was killed; the next one ends it
        and not (port.local and _elsewhere(listener))
        and not (case.ours and listener.unit in {port.unit, _MAKES_WAY.get(port.unit, port.unit)})
    ]
    if not taken:
        return passed(", ".join(str(number) for number in sorted({port.number for port in wanted})))
    return failed(
        f"these ports are in use: {'; '.join(dict.fromkeys(taken))}",
        "Stop and disable the program that listens there, or move it to another port.",
    )


def cidr_overlap(case: HostCase) -> Verdict:
    """No address or route of the host lies in podCIDR or serviceCIDR.

    Fix: Choose ranges for `network.podCIDR` and `network.serviceCIDR` that your network does not use
    elsewhere.
    """
    network = case.plan.config.network
    ranges = {"podCIDR": network.pod_cidr, "serviceCIDR": network.service_cidr}
    if case.facts.addresses is None or case.facts.routes is None:
        return skipped("the ip command is not installed")
    clashes: list[str] = []
    wider: list[str] = []
    for what, place in _places(case.facts):
        if case.ours and network.plugin != "routed" and place.subnet_of(network.pod_cidr):
            continue  # the pod network's own
        for name, cidr in ranges.items():
            if place.overlaps(cidr):
                covers = what.startswith("the route") and place.supernet_of(cidr) and place != cidr
                (wider if covers else clashes).append(f"{what} overlaps {name} {cidr}")
    if clashes:
        keys = " or ".join(name for name in ranges if any(f" {name} " in clash for clash in clashes))
        return failed(
            "; ".join(clashes), f"Choose a {keys} in cluster.yaml that your network does not use elsewhere."
        )
    if wider:
        return warning(
            f"{'; '.join(wider)}: in this range the host can't reach the destination of the route",
            "Choose another range in cluster.yaml if the host needs to reach addresses in it.",
        )
    return passed(f"{network.pod_cidr}, {network.service_cidr}")


def firewall(case: HostCase) -> Verdict:
    """No firewall blocks traffic between the cluster's hosts and pods: up opens firewalld, but not ufw.

    Fix: Run the `ufw` commands that the message names on the host.
    """
    plan, facts = case.plan, case.facts
    if facts.firewalld:
        return passed("firewalld is active; k8sbootstrap opens it for the cluster")
    if not facts.ufw:
        return passed("neither firewalld nor ufw is active")
    pods = [str(plan.config.network.pod_cidr)] if case.host.is_node else []
    sources = [str(host.private_address) for host in plan.hosts if host is not case.host] + pods
    commands = [f"ufw allow from {source}" for source in sources if source not in facts.ufw]
    commands += [f"ufw route allow {way} {cidr}" for cidr in pods if commands for way in ("from", "to")]
    port = f"{plan.config.api.port}/tcp"
    if case.host.is_master and port not in facts.ufw:
        commands.append(f"ufw allow {port}")
    if not commands:
        return passed("ufw has rules for the cluster's hosts and pods")
    return warning(
        f"ufw is active, but has no rules for {', '.join(command.split()[-1] for command in commands)}",
        f"Run on the host: {'; '.join(commands)}.",
    )


def name_servers(case: HostCase) -> Verdict:
    """CoreDNS has servers for names outside the cluster: the host's, or those of dns.upstream.

    Fix: Set `dns.upstream` in cluster.yaml to name servers that nodes can reach, or to `[]` if there are
    none.
    """
    dns, settings = case.plan.config.dns, case.plan.config.kubernetes
    if not case.host.is_node or dns.name != "coredns":
        return passed("CoreDNS does not run on this host")
    if dns.upstream is not None:
        return passed(f"dns.upstream: {', '.join(dns.upstream) or 'none wanted'}")
    own = settings.extra_args.get("kubelet", {}).get("resolv-conf")
    own = own or settings.extra_config.get("kubelet", {}).get("resolvConf")
    if own:
        return passed(f"those in {own}, which the kubelet's settings in cluster.yaml name")
    there = case.facts.name_servers
    if any(not _is_loopback(server) for server in there):
        return passed(", ".join(there))
    seen = f"only {names(list(there))}, which is the pod itself inside a pod" if there else "none"
    return failed(
        f"pods would have no usable name server: /etc/resolv.conf has {seen}",
        "Set dns.upstream in cluster.yaml to servers that nodes can reach, or to [] if there are none.",
    )


def _is_loopback(server: str) -> bool:
    return server.startswith("127.") or server == "::1"


def _ports(plan: ClusterPlan, host: HostPlan) -> Iterator[_Port]:
    for component in components_of(plan, host):
        for port in component.ports:
            yield _Port(port_number(port.number, plan), component.unit, port.local)


def _elsewhere(listener: Listener) -> bool:
    return listener.address not in _EVERYWHERE and not listener.address.startswith("127.")


def _holder(listener: Listener) -> str:
    if not listener.process:
        return "an unknown process"
    return f"{listener.process} of {listener.unit}" if listener.unit else listener.process


def _places(facts: HostFacts) -> Iterator[tuple[str, IPv4Network]]:
    """What the host is connected to and knows ways to, without what this tool's own components made."""
    for address in facts.addresses or ():
        if address.device not in OWN_DEVICES and address.device != "lo":
            yield f"the address {address.interface} on {address.device}", address.interface.network
    for route in facts.routes or ():
        if route.device not in OWN_DEVICES and route.protocol not in {OWN_PROTOCOL, "kernel"}:
            yield f"the route to {route.destination} by {route.device}", route.destination

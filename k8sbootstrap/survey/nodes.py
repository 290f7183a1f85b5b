"""Compares the cluster's nodes with those of cluster.yaml: each side may have some that the other lacks."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from k8sbootstrap.plan.models import ClusterPlan, UnplannedNode
from k8sbootstrap.survey.record import HostFinding

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def with_unplanned(plan: ClusterPlan, findings: Mapping[str, HostFinding]) -> ClusterPlan:
    """``plan`` with the nodes that a host taken out of cluster.yaml has left, as a master reports them.

    A node whose name, address or range can't be right is left out: its kubelet itself says what they are.
    """
    return replace(plan, unplanned_nodes=tuple(_unplanned(plan, findings)))


def missing(plan: ClusterPlan, findings: Mapping[str, HostFinding]) -> tuple[str, ...]:
    """Planned nodes that have joined once and that the API no longer has."""
    known = pod_cidrs(plan, findings)
    if known is None:
        return ()
    joined = (host.name for host in plan.nodes if host.name in findings)
    return tuple(host for host in joined if host not in known and findings[host].digests.get("kubelet"))


def joining(plan: ClusterPlan, findings: Mapping[str, HostFinding]) -> tuple[str, ...]:
    """Planned nodes that the API does not have: new ones, those that a failed run left out, deleted ones."""
    known = pod_cidrs(plan, findings)
    if known is None:
        return ()
    return tuple(host.name for host in plan.nodes if host.name in findings and host.name not in known)


def pod_cidrs(plan: ClusterPlan, findings: Mapping[str, HostFinding]) -> Mapping[str, str] | None:
    """Every node's podCIDR; None where no master could say."""
    master = _witness(plan, findings)
    return master.pod_cidrs if master else None


def cordoned(plan: ClusterPlan, findings: Mapping[str, HostFinding]) -> Mapping[str, str]:
    """Hosts that answered and whose nodes k8sbootstrap keeps pods off, and why: see ``phases.CORDONING``."""
    master = _witness(plan, findings)
    return {name: why for name, why in master.cordoned.items() if name in findings} if master else {}


def _witness(plan: ClusterPlan, findings: Mapping[str, HostFinding]) -> HostFinding | None:
    """The first master that has asked its API server: other hosts are not asked for nodes."""
    masters = [findings[host.name] for host in plan.masters if host.name in findings]
    return next((found for found in masters if found.pod_cidrs is not None), None)


def _unplanned(plan: ClusterPlan, findings: Mapping[str, HostFinding]) -> Iterator[UnplannedNode]:
    master = _witness(plan, findings)
    if master is None or master.pod_cidrs is None:
        return
    planned = {host.name for host in plan.hosts}
    addresses = {host.private_address for host in plan.hosts}
    taken = [cidr for name in planned if (cidr := _range(master.pod_cidrs.get(name, "")))]
    network = plan.config.network
    for name, text in sorted(master.pod_cidrs.items()):
        cidr, address = _range(text), _address(master.addresses.get(name, ""))
        if name in planned or not _NAME.fullmatch(name) or address is None or address in addresses:
            continue
        if address in network.pod_cidr or address in network.service_cidr or address.is_loopback:
            continue
        if cidr and (not cidr.subnet_of(network.pod_cidr) or any(cidr.overlaps(other) for other in taken)):
            continue
        addresses.add(address)
        taken += [cidr] if cidr else []
        yield UnplannedNode(name, address, cidr)


def _range(text: str) -> IPv4Network | None:
    try:
        return IPv4Network(text)
    except ValueError:
        return None


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None

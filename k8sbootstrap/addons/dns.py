"""CoreDNS as the cluster's DNS, with an optional cache on every node and an optional autoscaler."""

import json
from importlib import resources
from typing import Any

import jinja2

from k8sbootstrap.config.models.network import DnsAutoscale
from k8sbootstrap.formats.objects import Sourced, read_objects
from k8sbootstrap.plan.models import CONTROL_PLANE, NODE_LOCAL_DNS, ClusterPlan

_NODES_PER_REPLICA = 16
_HOST = ("/etc/resolv.conf",)
"""Where a pod of dnsPolicy Default finds the servers that its node uses."""


def dns_objects(plan: ClusterPlan) -> list[Sourced]:
    """The objects that ``dns`` of cluster.yaml asks for; none where it asks for none."""
    dns = plan.config.dns
    if dns.name == "none":
        return []
    upstream = _HOST if dns.upstream is None else dns.upstream
    found = _rendered(
        "coredns",
        "CoreDNS",
        domain=plan.config.network.dns_domain,
        service_ip=plan.dns_service_ip,
        image=plan.release.coredns.ref,
        replicas=None if dns.autoscale else replicas(plan),
        upstream=upstream,
        control_plane_taint=CONTROL_PLANE,
    )
    if dns.node_local_cache:
        found += _rendered(
            "node-local-dns",
            "the nodes' DNS cache",
            domain=plan.config.network.dns_domain,
            local_address=NODE_LOCAL_DNS,
            addresses=tuple(dict.fromkeys((NODE_LOCAL_DNS, plan.pod_dns))),
            image=plan.release.dns_node_cache.ref,
            upstream=upstream,
        )
    if dns.autoscale:
        found += _rendered(
            "coredns-autoscaler",
            "CoreDNS's autoscaler",
            linear=json.dumps(_linear(dns.autoscale)),
            image=plan.release.dns_autoscaler.ref,
            control_plane_taint=CONTROL_PLANE,
        )
    return found


def replicas(plan: ClusterPlan) -> int:
    """The number in cluster.yaml; else one per 16 nodes, and at least two where there are two nodes."""
    nodes = len(plan.nodes)
    return plan.config.dns.replicas or max(min(nodes, 2), -(-nodes // _NODES_PER_REPLICA))


def _linear(autoscale: DnsAutoscale) -> dict[str, Any]:
    """The autoscaler's settings."""
    return {
        "nodesPerReplica": autoscale.nodes_per_replica,
        "coresPerReplica": autoscale.cores_per_replica,
        "min": autoscale.min,
        **({"max": autoscale.max} if autoscale.max else {}),
        "preventSinglePointFailure": True,
        "includeUnschedulableNodes": True,
    }


def _rendered(name: str, title: str, **variables: Any) -> list[Sourced]:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        autoescape=False,  # noqa: S701 - YAML, not HTML
    )
    template = resources.files("k8sbootstrap.addons").joinpath("templates", f"{name}.yaml.j2").read_text()
    return read_objects(environment.from_string(template).render(variables), title)

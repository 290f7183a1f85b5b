"""CoreDNS as the cluster's DNS."""

from importlib import resources

import jinja2

from k8sbootstrap.addons.objects import Sourced, read_objects
from k8sbootstrap.plan.models import ClusterPlan

_NODES_PER_REPLICA = 16
_HOST = ("/etc/resolv.conf",)
"""Where a pod of dnsPolicy Default finds the servers that its node uses."""


def dns_objects(plan: ClusterPlan) -> list[Sourced]:
    """The objects that ``dns`` of cluster.yaml asks for; none where it asks for none."""
    dns = plan.config.dns
    if dns.name == "none":
        return []
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        autoescape=False,  # noqa: S701 - YAML, not HTML
    )
    template = resources.files("k8sbootstrap.addons").joinpath("templates", "coredns.yaml.j2").read_text()
    text = environment.from_string(template).render(
        domain=plan.config.network.dns_domain,
        service_ip=plan.dns_service_ip,
        image=plan.release.coredns.ref,
        replicas=replicas(plan),
        upstream=_HOST if dns.upstream is None else dns.upstream,
        pdb_api=plan.release.minor.pod_disruption_budget_api,
        control_plane_taint=plan.release.minor.control_plane_taint,
    )
    return read_objects(text, "CoreDNS")


def replicas(plan: ClusterPlan) -> int:
    """As many as cluster.yaml says; else one per 16 nodes, and two where a second node can have one."""
    nodes = len(plan.nodes)
    return plan.config.dns.replicas or max(min(nodes, 2), -(-nodes // _NODES_PER_REPLICA))

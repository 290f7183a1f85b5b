"""What hosts with firewalld must let through."""

from k8sbootstrap.plan.models import ClusterPlan, HostPlan


def firewall(plan: ClusterPlan, host: HostPlan) -> dict[str, list[str]]:
    """What must get through firewalld: the cluster's addresses, and the API where it is served."""
    others = [str(other.private_address) for other in plan.hosts if other is not host]
    others += [str(node.address) for node in plan.unplanned_nodes]
    own = [str(host.private_address), host.address]
    return {
        "sources": [*others, str(plan.config.network.pod_cidr)] if host.is_node else others,
        "ports": [f"{plan.config.api.port}/tcp"] if host.is_master else [],
        "addresses": list(dict.fromkeys(own)),
    }

"""The plan's values of settings that can't be changed once the cluster exists."""

from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.resources import shared_rules


def made_with(plan: ClusterPlan, host: HostPlan) -> dict[str, str]:
    """The values for one host, by key of cluster.yaml."""
    keys = shared_rules("fixed")
    network = plan.config.network
    flags = plan.config.kubernetes.extra_args.get("kube-apiserver", {})
    planned = {
        keys.NAME: host.name,
        keys.PLUGIN: network.plugin,
        keys.PODS: str(network.pod_cidr),
        keys.MASK: str(network.node_cidr_mask_size),
        keys.SERVICES: str(network.service_cidr),
        keys.DOMAIN: network.dns_domain,
        keys.ISSUER: flags.get(
            "service-account-issuer", f"https://kubernetes.default.svc.{network.dns_domain}"
        ),
        keys.PREFIX: flags.get("etcd-prefix", "/registry"),
    }
    if host.is_node:
        planned[keys.RUNTIME] = plan.config.runtime.name
    if network.plugin == "cilium":
        planned[keys.IPAM] = network.cilium.ipam
    return planned | ({keys.ADDRESS: str(host.private_address)} if host.is_master else {})

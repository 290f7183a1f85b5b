"""Variables of the roles of nodes: load balancer, kubelet, kube-proxy, and those that upgrade nodes."""

from k8sbootstrap.inventory.inputs import Inputs
from k8sbootstrap.inventory.model import Variables
from k8sbootstrap.pki.table import CA
from k8sbootstrap.plan.models import HostPlan


def api_loadbalancer(inputs: Inputs) -> Variables:
    """Of the role ``api_loadbalancer``."""
    return {
        "api_loadbalancer_cluster": inputs.cluster,
        "api_loadbalancer_port": inputs.plan.config.api.port,
        "api_loadbalancer_masters": inputs.masters,
        "api_loadbalancer_pki_dir": inputs.pki,
    }


def node_drain(inputs: Inputs) -> Variables:
    """Of the role ``node_drain``."""
    config = inputs.plan.config
    return {
        "node_drain_version": inputs.plan.release.version,
        "node_drain_timeout": config.upgrade.drain_timeout,
        "node_drain_masters": inputs.masters,
        "node_drain_port": config.api.port,
    }


def node_uncordon(inputs: Inputs) -> Variables:
    """Of the role ``node_uncordon``."""
    return {"node_uncordon_version": inputs.plan.release.version}


def kubelet(inputs: Inputs) -> Variables:
    """Of the role ``kubelet``."""
    plan = inputs.plan
    runtime = plan.config.runtime.name
    return {
        "kubelet_cluster": inputs.cluster,
        "kubelet_cluster_dns": str(plan.pod_dns),
        "kubelet_dns_domain": plan.config.network.dns_domain,
        "kubelet_runtime": runtime,
        "kubelet_registry_logins": inputs.logins,
        "kubelet_runtime_endpoint": plan.release.runtime_endpoint,
        **inputs.files_of("kubelet"),
        "kubelet_pki_dir": inputs.pki,
        "kubelet_release_config": dict(plan.release.minor.runtime_kubelet_config.get(runtime, {})),
        "kubelet_extra_args": inputs.extra_args("kubelet"),
        "kubelet_extra_config": inputs.extra_config("kubelet"),
    }


def own_kubelet(inputs: Inputs, host: HostPlan) -> Variables:
    """Of the role ``kubelet`` on one host."""
    if not host.is_node:
        return {}
    return {
        "kubelet_address": str(host.private_address),
        "kubelet_api_server": f"https://{inputs.plan.api_of(host)}",
        "kubelet_taints": [taint.model_dump(exclude_defaults=True) for taint in host.taints],
    }


def kube_proxy(inputs: Inputs) -> Variables:
    """Of the role ``kube_proxy``."""
    plan, network = inputs.plan, inputs.plan.config.network
    return {
        "kube_proxy_cluster": inputs.cluster,
        "kube_proxy_pod_cidr": str(network.pod_cidr),
        "kube_proxy_mode": network.kube_proxy_mode if plan.has_kube_proxy else "none",
        "kube_proxy_service_cidr": str(network.service_cidr),
        "kube_proxy_ca": f"{inputs.pki}/{CA}.crt",
        **inputs.files_of("kube_proxy"),
        "kube_proxy_extra_args": inputs.extra_args("kube-proxy"),
        "kube_proxy_extra_config": inputs.extra_config("kube-proxy"),
    }


def own_kube_proxy(inputs: Inputs, host: HostPlan) -> Variables:
    """Of the role ``kube_proxy`` on one host."""
    if not host.is_node:
        return {}
    return {"kube_proxy_api_server": f"https://{inputs.plan.api_of(host)}"}

"""cilium: https://docs.cilium.io/en/stable/network/kubernetes/configuration/."""

from collections.abc import Mapping
from typing import Any

from k8sbootstrap.plan.models import ClusterPlan

RELEASE, NAMESPACE = "cilium", "kube-system"
"""As cilium's own documentation has them: its tools look there."""
_OPERATORS = 2


def cilium_values(plan: ClusterPlan) -> dict[str, Any]:
    """Values of cilium's chart: those that fit the cluster, and cluster.yaml's ``values`` over them."""
    network, cilium = plan.config.network, plan.config.network.cilium
    host, _, port = plan.node_api_endpoint.rpartition(":")
    values: dict[str, Any] = {
        # an address that holds on every node, before there are Services
        "k8sServiceHost": host,
        "k8sServicePort": int(port),
        "kubeProxyReplacement": str(cilium.kube_proxy_replacement).lower(),
        "MTU": cilium.mtu or 0,
        "ipam": _ipam(plan),
        # pods read their configuration when they start; an image that was loaded from a file has no digest
        "rollOutCiliumPods": True,
        "image": {"useDigest": False},
        "envoy": {"rollOutPods": True, "image": {"useDigest": False}},
        "operator": {
            "replicas": min(_OPERATORS, len(plan.nodes)),
            "rollOutPods": True,
            "image": {"useDigest": False},
        },
        # its certificates end a year after the chart was rendered
        "hubble": {"enabled": False},
    }
    if cilium.routing == "native":
        values |= {
            "routingMode": "native",
            "autoDirectNodeRoutes": True,
            "ipv4NativeRoutingCIDR": str(network.pod_cidr),
        }
    else:
        values |= {"routingMode": "tunnel", "tunnelProtocol": cilium.routing}
    return merged(values, cilium.values)


def merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Values with others over them, as helm merges files of values."""
    result = dict(values)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = merged(below, value)  # noqa: PLW2901 - what is below it counts, too
        result[key] = value
    return result


def _ipam(plan: ClusterPlan) -> dict[str, Any]:
    network = plan.config.network
    if network.cilium.ipam == "kubernetes":
        return {"mode": "kubernetes"}
    pool = {
        "clusterPoolIPv4PodCIDRList": [str(network.pod_cidr)],
        "clusterPoolIPv4MaskSize": network.node_cidr_mask_size,
    }
    return {"mode": "cluster-pool", "operator": pool}

"""Variables of the roles that connect nodes and set up the cluster: node_settings, pod_network, addons."""

from typing import Any

from k8sbootstrap.inventory.inputs import Inputs, addresses, copied_if_there
from k8sbootstrap.inventory.model import Variables
from k8sbootstrap.plan.models import CONTROL_PLANE, HostPlan


def node_settings(inputs: Inputs) -> Variables:
    """Of the role ``node_settings``."""
    return {"node_settings_nodes": {host.name: _node(host) for host in inputs.plan.nodes}}


def pod_network(inputs: Inputs) -> Variables:
    """Of the role ``pod_network``."""
    plan, network = inputs.plan, inputs.plan.config.network
    variables: dict[str, Any] = {
        "pod_network_cluster": inputs.cluster,
        "pod_network_plugin": network.plugin,
        "pod_network_cidr": str(network.pod_cidr),
    }
    if network.plugin == "routed":
        unplanned = {node.name: str(node.address) for node in plan.unplanned_nodes}
        variables["pod_network_nodes"] = unplanned | addresses(plan.nodes)
    return variables | inputs.files_of("pod_network")


def own_pod_network(inputs: Inputs, host: HostPlan) -> Variables:  # noqa: ARG001 - all are called alike
    """Of the role ``pod_network`` on one host."""
    return {"pod_network_address": str(host.private_address)} if host.is_node else {}


def addons(inputs: Inputs) -> Variables:
    """Of the role ``addons``."""
    variables: dict[str, Any] = {"addons_file": copied_if_there(inputs.state.addons)}
    if inputs.plan.pod_network:
        variables["addons_nodes"] = [host.name for host in inputs.plan.nodes]
    return variables


def _node(host: HostPlan) -> dict[str, Any]:
    labels = dict(host.labels)
    if host.is_master:
        labels[CONTROL_PLANE] = ""
    if host.is_master and "worker" not in host.roles:
        labels["node.kubernetes.io/exclude-from-external-load-balancers"] = ""
    return {"labels": labels, "taints": [taint.model_dump() for taint in host.taints]}

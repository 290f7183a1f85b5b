"""Which function says what a role's variables are, in the order in which files have them."""

from collections.abc import Callable, Mapping

from k8sbootstrap.inventory.inputs import Inputs
from k8sbootstrap.inventory.model import Variables
from k8sbootstrap.inventory.roles import cluster, control_plane, hosts, images, nodes
from k8sbootstrap.plan.models import HostPlan

SHARED: Mapping[str, Callable[[Inputs], Variables]] = {
    "host": hosts.host,
    "packages": hosts.packages,
    "image_registry": images.image_registry,
    "container_runtime": images.container_runtime,
    "etcd": control_plane.etcd,
    "kube_apiserver": control_plane.kube_apiserver,
    "kube_controller_manager": control_plane.kube_controller_manager,
    "kube_scheduler": control_plane.kube_scheduler,
    "api_loadbalancer": nodes.api_loadbalancer,
    "api_virtual_ip": control_plane.api_virtual_ip,
    "node_drain": nodes.node_drain,
    "node_uncordon": nodes.node_uncordon,
    "kubelet": nodes.kubelet,
    "kube_proxy": nodes.kube_proxy,
    "retired": hosts.retired,
    "node_settings": cluster.node_settings,
    "pod_network": cluster.pod_network,
    "addons": cluster.addons,
}
"""Role to its variables that are the same on all hosts."""
OWN: Mapping[str, Callable[[Inputs, HostPlan], Variables]] = {
    "k8sbootstrap": hosts.own_k8sbootstrap,
    "host": hosts.own_host,
    "packages": hosts.own_packages,
    "etcd": control_plane.own_etcd,
    "kube_apiserver": control_plane.own_kube_apiserver,
    "kubelet": nodes.own_kubelet,
    "kube_proxy": nodes.own_kube_proxy,
    "pod_network": cluster.own_pod_network,
    "retired": hosts.own_retired,
}
"""Role to its variables that each host has its own value of; none where the role is not for that host."""

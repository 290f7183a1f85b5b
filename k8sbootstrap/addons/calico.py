"""calico: https://docs.tigera.io/calico/latest/reference/configure-calico-node."""

from typing import Any

from k8sbootstrap.addons.settings import find_container, find_object, restart_with, set_env
from k8sbootstrap.config.models.network import Network
from k8sbootstrap.formats.objects import Object, Sourced

_POOL = "default-ipv4-ippool"
"""As calico itself calls the pool that it makes where there is none."""


def set_calico(objects: list[Sourced], network: Network) -> list[Sourced]:
    """Write cluster.yaml's settings into calico's objects.

    Args:
        objects: calico's own.
        network: Settings of the network.

    Raises:
        ObjectError: An object is not there.
    """
    config = find_object(objects, "ConfigMap", "calico-config")
    workload = find_object(objects, "DaemonSet", "calico-node")
    container = find_container(workload, "calico-node")
    bgp = network.calico.encapsulation != "vxlan"
    config["data"] |= {
        "calico_backend": "bird" if bgp else "vxlan",
        "veth_mtu": str(network.calico.mtu or 0),
    }
    # calico makes a pool of its variables once, and never looks at them again: a pool of ours can change
    set_env(container, "NO_DEFAULT_POOLS", {"value": "true"})
    for name in ("CALICO_IPV4POOL_IPIP", "CALICO_IPV4POOL_VXLAN"):
        container["env"] = [variable for variable in container["env"] if variable["name"] != name]
    # the node's own address in the cluster: hosts may have more networks than one
    set_env(container, "IP_AUTODETECTION_METHOD", {"value": "kubernetes-internal-ip"})
    if not bgp:
        for probe in ("livenessProbe", "readinessProbe"):
            command = container[probe]["exec"]["command"]
            container[probe]["exec"]["command"] = [word for word in command if not word.startswith("-bird-")]
    restart_with(workload, config["data"])
    return [Sourced("calico's IP pool", 1, _pool(network)), *objects]


def _pool(network: Network) -> Object:
    encapsulation = network.calico.encapsulation
    spec: dict[str, Any] = {
        "cidr": str(network.pod_cidr),
        "blockSize": 26,
        "ipipMode": "Always" if encapsulation == "ipip" else "Never",
        "vxlanMode": "Always" if encapsulation == "vxlan" else "Never",
        "natOutgoing": True,
        "nodeSelector": "all()",
        "allowedUses": ["Workload", "Tunnel"],
    }
    return {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "IPPool",
        "metadata": {"name": _POOL},
        "spec": spec,
    }

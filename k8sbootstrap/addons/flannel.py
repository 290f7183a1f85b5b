"""flannel: https://github.com/flannel-io/flannel/blob/master/Documentation/configuration.md."""

import json

from k8sbootstrap.addons.settings import find_container, find_object, restart_with, set_env
from k8sbootstrap.config.models.network import Network
from k8sbootstrap.formats.objects import Sourced

_OVERHEAD = {"vxlan": 50, "wireguard": 80}
"""Bytes that each backend adds to a packet."""


def set_flannel(objects: list[Sourced], network: Network) -> list[Sourced]:
    """Write cluster.yaml's settings into flannel's objects.

    Args:
        objects: flannel's own.
        network: Settings of the network.

    Raises:
        ObjectError: An object is not there.
    """
    config = find_object(objects, "ConfigMap", "kube-flannel-cfg")
    workload = find_object(objects, "DaemonSet", "kube-flannel-ds")
    wanted, cni = json.loads(config["data"]["net-conf.json"]), json.loads(config["data"]["cni-conf.json"])
    wanted["Network"] = str(network.pod_cidr)
    wanted["Backend"] = {"Type": network.flannel.backend}
    if network.flannel.mtu:
        cni["plugins"][0]["delegate"]["mtu"] = network.flannel.mtu
        if network.flannel.backend in _OVERHEAD:
            wanted["Backend"]["MTU"] = network.flannel.mtu + _OVERHEAD[network.flannel.backend]
    config["data"] |= {"net-conf.json": _text(wanted), "cni-conf.json": _text(cni)}
    container = find_container(workload, "kube-flannel")
    # the node's own address in the cluster: hosts may have more networks than one, or no default route
    set_env(container, "NODE_ADDRESS", {"valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}})
    container["args"] = [*container["args"], "--iface=$(NODE_ADDRESS)"]
    # its containers write to folders of the host: SELinux lets only this type do that
    workload["spec"]["template"]["spec"]["securityContext"] = {"seLinuxOptions": {"type": "spc_t"}}
    restart_with(workload, config["data"])
    return objects


def _text(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"

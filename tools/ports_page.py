"""The page of ports, made from the table of components: ``python -m tools.ports_page > docs/ports.md``."""

import sys

from k8sbootstrap.plan.components import COMPONENTS, Placement, PortNumber
from k8sbootstrap.plan.connections import POD_NETWORK_PORTS

_WHERE: dict[Placement, str] = {
    "etcd": "hosts of etcd",
    "master": "masters",
    "node": "nodes",
    "kube-proxy": "nodes",
    "balancer": "workers",
    "registry": "the host of `registry`",
}
"""How the page names the hosts of a placement. Nodes are masters and workers."""
_HEAD = """\
# Ports

Generated from the table of components with `python -m tools.ports_page`; do not edit it by hand. Masters and
workers are nodes. If no host has the role etcd, the masters are the hosts of etcd. [Preflight](preflight.md)
tries these connections between hosts before anything is installed, with the numbers of your cluster.yaml.

If firewalld runs on a host, `up` opens these ports for the cluster's hosts. Open other firewalls yourself.

## Between hosts

| port | on | connected to by | what it is |
|---|---|---|---|
| 22/tcp (`ssh.port`) | all hosts | the machine that runs k8sbootstrap, or its bastion | SSH |
"""
_PODS = """
## Between nodes, for pods

| pod network | port |
|---|---|
| `routed`, nodes on one network | none: nodes send the pods' own packets, with addresses of `podCIDR` |
| `routed`, nodes on different networks | 4789/udp (VXLAN) |
"""
_OTHERS = """
calico with `encapsulation: ipip` also sends IP protocol 4, which has no port.

## From outside the cluster

| port | on | what it is |
|---|---|---|
| 6443/tcp (`api.port`) | masters | the API, for you, kubectl and your load balancer (`api.endpoint`) |
| 30000-32767/tcp and /udp | nodes | Services of type NodePort, where there are any |
| 10256/tcp | nodes | kube-proxy's `/healthz`, for load balancers in front of Services |

## Between masters, with `api.virtualIP`

keepalived sends VRRP, which is IP protocol 112 and has no port.

## On 127.0.0.1 alone

| port | on | what it is |
|---|---|---|
"""


def page() -> str:
    """The page docs/ports.md, as Markdown."""
    between, alone = [], []
    for component in COMPONENTS:
        for port in component.ports:
            number, where = _number(port.number), _WHERE.get(component.placement, "")
            if port.local:
                alone.append(f"| {number} | {where} | {component.name} |\n")
            if port.clients:
                clients = " and ".join(_WHERE[client] for client in port.clients)
                clients = "nodes" if clients == "masters and nodes" else clients
                between.append(f"| {number} | {where} | {clients} | {component.name} |\n")
    pods = [
        f"| `{port.plugin}`"
        + (f" with `{port.key}: {'` or `'.join(port.values)}`" if port.key else "")
        + f" | {port.number}/{port.protocol} |\n"
        for port in POD_NETWORK_PORTS
    ]
    return _HEAD + "".join(between) + _PODS + "".join(pods) + _OTHERS + "".join(alone)


def _number(number: PortNumber) -> str:
    known: dict[PortNumber, str] = {"api": "6443/tcp (`api.port`)", "registry": "5000/tcp (`registry.port`)"}
    return known.get(number, f"{number}/tcp")


if __name__ == "__main__":
    sys.stdout.write(page())

"""The pod network, names, and the ways to the API and out."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from k8sbootstrap.config.models.base import (
    DirectHost,
    DnsName,
    DnsServer,
    HttpUrl,
    KubeProxyMode,
    Model,
    Mtu,
    PodNetworkName,
    Port,
)

DEFAULT_ENDPOINT_PORT = 6443
"""Port of an external API endpoint that names none."""


class Flannel(Model):
    """Settings of the pod network flannel."""

    backend: Literal["vxlan", "host-gw", "wireguard"] = "vxlan"
    """How pods' packets get to other nodes. vxlan: in UDP. host-gw: by plain routes, for nodes on one
    network. wireguard: encrypted; needs Linux 5.6."""
    mtu: Mtu | None = None
    """MTU of pods' interfaces in bytes. Default: that of the nodes' network, less what the backend adds."""


class Calico(Model):
    """Settings of the pod network calico."""

    encapsulation: Literal["ipip", "vxlan", "none"] = "ipip"
    """How pods' packets get to other nodes: in IP (with routes by BGP), in UDP (without BGP), or as they are
    (by BGP, for nodes on one network)."""
    mtu: Mtu | None = None
    """MTU of pods' interfaces in bytes. Default: calico finds it out."""


class Cilium(Model):
    """Settings of the pod network cilium."""

    routing: Literal["vxlan", "geneve", "native"] = "vxlan"
    """How pods' packets get to other nodes: in UDP, by one of two protocols, or as they are (native), for
    nodes on one network."""
    ipam: Literal["kubernetes", "cluster-pool"] = "kubernetes"
    """Who gives nodes their parts of podCIDR: Kubernetes, or cilium's operator."""
    kube_proxy_replacement: bool = False
    """Whether cilium forwards what is sent to Services, and nodes have no kube-proxy. It can't be switched on
    where kube-proxy runs."""
    mtu: Mtu | None = None
    """MTU of the network under the pods' in bytes. Default: cilium finds it out."""
    values: dict[str, Any] = Field(default_factory=dict)
    """More values of cilium's Helm chart; they win over those that k8sbootstrap sets."""


class Network(Model):
    """Addresses of pods and Services, and the pod network."""

    plugin: PodNetworkName = "routed"
    """Pod network. routed: a bridge per node, plain routes on one network, VXLAN between networks. flannel,
    calico: these projects' own manifests. cilium: its own Helm chart. none: bring one yourself; nodes are
    Ready when they have it. Once the cluster is up only none can be changed to another."""
    flannel: Flannel = Field(default_factory=Flannel)
    """Settings of flannel, where that is the pod network."""
    calico: Calico = Field(default_factory=Calico)
    """Settings of calico, where that is the pod network."""
    cilium: Cilium = Field(default_factory=Cilium)
    """Settings of cilium, where that is the pod network."""
    pod_cidr: IPv4Network = Field(default=IPv4Network("10.244.0.0/16"), alias="podCIDR")
    """Range of pod addresses; every node gets a /nodeCIDRMaskSize of it."""
    service_cidr: IPv4Network = Field(default=IPv4Network("10.96.0.0/16"), alias="serviceCIDR")
    """Range of Service addresses; the first is the API's, the tenth the cluster DNS's."""
    node_cidr_mask_size: int = Field(default=24, ge=17, le=28, alias="nodeCIDRMaskSize")
    """Prefix length of each node's podCIDR."""
    kube_proxy_mode: KubeProxyMode = "iptables"
    """How kube-proxy forwards what is sent to Services: iptables, or nftables, which stays fast with many
    Services and needs Linux 5.13. When it is changed on a running cluster, the rules of the other mode are
    removed."""
    dns_domain: DnsName = "cluster.local"
    """DNS domain of Services."""


class DnsAutoscale(Model):
    """How the number of CoreDNS's pods follows the cluster's size: the greater of both numbers."""

    nodes_per_replica: int = Field(default=16, ge=1, le=5000)
    """Nodes per pod."""
    cores_per_replica: int = Field(default=256, ge=1, le=100000)
    """Processor cores of all nodes per pod."""
    min: int = Field(default=1, ge=1, le=100)
    """Pods at least; two where there are two nodes."""
    max: int | None = Field(default=None, ge=1, le=1000)
    """Pods at most. Default: no limit."""


class Dns(Model):
    """The cluster's DNS: names of Services and pods, and of everything else."""

    name: Literal["coredns", "none"] = "coredns"
    """coredns: the version that goes with the release. none: bring one yourself, with its Service at the
    tenth address of serviceCIDR."""
    replicas: int | None = Field(default=None, ge=1, le=100)
    """Number of pods. Default: one per 16 nodes, and two at least where there are two nodes."""
    autoscale: DnsAutoscale | None = None
    """Set the number of pods by the cluster's size, also when nodes come and go. Default: replicas."""
    node_local_cache: bool = False
    """Whether every node has a cache of its own in front of CoreDNS, at 169.254.20.10."""
    upstream: list[DnsServer] | None = Field(default=None, max_length=15)
    """Servers for all other names, IP address or IP:PORT. Default: those in /etc/resolv.conf of the node that
    the pod is on. An empty list: other names are not answered."""


class Api(Model):
    """How clients reach the Kubernetes API."""

    endpoint: str | None = None
    """HOST or HOST:PORT (6443 when not given) of a load balancer in front of the masters, which sends nothing
    new to one whose /readyz does not answer 200: an API server says so for 5 seconds before it stops, so it
    should be asked every 2. Default: none is needed; workers reach every master through a local haproxy, and
    the admin kubeconfig names virtualIP, or else the first master."""
    virtual_ip: IPv4Address | None = Field(default=None, alias="virtualIP")
    """A free IPv4 address on the network of the masters. keepalived on the masters gives it to one whose API
    server is ready, and to another one when that fails. The admin kubeconfig and the API server's certificate
    name it. Workers go on to reach every master through a local haproxy. Default: none."""
    port: Port = 6443
    """TCP port of the API server on every master, and of the local haproxy on workers."""
    extra_sans: list[str] = Field(default_factory=list, alias="extraSANs")
    """More host names or IP addresses that the API server's certificate is valid for."""
    authentication: Path | None = None
    """File with an AuthenticationConfiguration (apiserver.config.k8s.io/v1): issuers of tokens, such as an
    OIDC provider, whose users may log in. Relative to cluster.yaml. Default: none."""


class Proxy(Model):
    """HTTP proxy for downloads, package managers and the runtime on hosts. URLs may have a login.

    etcd and the components of Kubernetes use none, also where systemd on a host has one for all services. If
    one needs a proxy, such as an API server for its issuer, write `UnsetEnvironment=` and `Environment=` into
    a drop-in of its unit.
    """

    http: HttpUrl | None = None
    """Proxy URL for http:// requests."""
    https: HttpUrl | None = None
    """Proxy URL for https:// requests."""
    no_proxy: list[DirectHost] = Field(default_factory=list)
    """Names, addresses and CIDRs reached directly; the cluster's own are always added."""

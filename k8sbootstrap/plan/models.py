"""The desired state: every address, endpoint, SAN and role of every host, computed once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from k8sbootstrap.catalog.distributions import Purpose
from k8sbootstrap.catalog.models import Image, PodNetwork, Release
from k8sbootstrap.config.models.base import Arch
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.config.models.hosts import Taint
from k8sbootstrap.plan.registries import LocalRegistry, RegistryPlan

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
"""Label of masters, and key of the taint of those that are no workers."""
NODE_LOCAL_DNS = IPv4Address("169.254.20.10")
"""Where a node's own DNS cache answers: the address that Kubernetes' addon has."""


@dataclass(frozen=True)
class BastionTarget:
    """The host that SSH passes through."""

    address: str
    port: int
    user: str


@dataclass(frozen=True)
class SSHTarget:
    """Everything needed to open an SSH connection to one host and become root there."""

    host: str
    """The host's name in cluster.yaml, for messages."""
    address: str
    port: int
    user: str
    key: Path | None
    """Private key file, absolute; None for the agent and OpenSSH's usual keys."""
    bastion: BastionTarget | None
    sudo: bool
    sudo_password: str | None
    known_hosts: Path
    """The cluster's own known_hosts file."""

    def __repr__(self) -> str:
        return f"SSHTarget({self.user}@{self.address}:{self.port})"  # never the password


@dataclass(frozen=True)
class HostPlan:
    """One host as it should be."""

    name: str
    address: str
    """Where SSH goes."""
    private_address: IPv4Address
    """Where cluster traffic goes."""
    roles: frozenset[str]
    """Effective roles: master, worker, etcd (masters carry etcd when it is stacked)."""
    arch: Arch
    """amd64 or arm64: the release's files of that architecture are installed."""
    ssh: SSHTarget
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]

    @property
    def is_master(self) -> bool:
        """Runs the control plane."""
        return "master" in self.roles

    @property
    def is_etcd(self) -> bool:
        """Runs an etcd member."""
        return "etcd" in self.roles

    @property
    def is_node(self) -> bool:
        """Runs a kubelet: masters and workers do, hosts that only hold etcd do not."""
        return bool(self.roles & {"master", "worker"})


@dataclass(frozen=True)
class UnplannedNode:
    """A node of the cluster that cluster.yaml does not name: its host was taken out, and works on."""

    name: str
    address: IPv4Address
    pod_cidr: IPv4Network | None
    """None where it has none."""


@dataclass(frozen=True)
class ClusterPlan:
    """The whole cluster as it should be."""

    config: Cluster
    releases: Mapping[Arch, Release]
    """The release by architecture, for every one that a host has; the first host's comes first."""
    hosts: tuple[HostPlan, ...]
    api_endpoint: str
    """HOST:PORT that the admin kubeconfig names."""
    node_api_endpoint: str
    """HOST:PORT that kubelets and kube-proxies use: 127.0.0.1:PORT, or the external endpoint on workers."""
    kubernetes_service_ip: IPv4Address
    dns_service_ip: IPv4Address
    api_sans: tuple[str, ...]
    """SANs common to every API server's certificate: Service names, Service address, endpoint, virtual IP,
    extras."""
    registries: tuple[RegistryPlan, ...]
    """Image registries with settings in cluster.yaml."""
    local_registry: LocalRegistry | None = None
    """The cluster's own image registry, where it has one."""
    unplanned_nodes: tuple[UnplannedNode, ...] = ()
    """Nodes that the cluster has and cluster.yaml does not name; known once hosts were asked."""
    bundle: Path | None = None
    """The bundle that all files and packages come from, absolute; None where there is none."""
    authentication: Path | None = None
    """The user's AuthenticationConfiguration, absolute; None where there is none."""

    @property
    def release(self) -> Release:
        """The release for the first host's architecture; all but its files is the same for the others."""
        return self.releases[self.hosts[0].arch]

    @property
    def pod_dns(self) -> IPv4Address:
        """Address of the DNS server of pods.

        With kube-proxy's iptables, a node's cache answers at the Service's address too, which leads to
        CoreDNS where the cache does not run.
        """
        config = self.config
        both = self.has_kube_proxy and config.network.kube_proxy_mode == "iptables"
        return NODE_LOCAL_DNS if config.dns.node_local_cache and not both else self.dns_service_ip

    def images(self, arch: Arch) -> tuple[Image, ...]:
        """Images that nodes of one architecture use, and that a source may have."""
        release = self.releases[arch]
        network = release.pod_networks.get(self.config.network.plugin)
        return (
            release.pause,
            *(network.images if network else ()),
            *self._dns_images(release),
            release.test_image,
        )

    @property
    def pod_network(self) -> PodNetwork | None:
        """The pod network where it is objects in the cluster; None where hosts alone make it, or nobody."""
        return self.release.pod_networks.get(self.config.network.plugin)

    def _dns_images(self, release: Release) -> Iterator[Image]:
        dns = self.config.dns
        if dns.name != "none":
            yield release.coredns
        if dns.node_local_cache:
            yield release.dns_node_cache
        if dns.autoscale:
            yield release.dns_autoscaler

    @property
    def has_kube_proxy(self) -> bool:
        """Whether nodes run kube-proxy; cilium can do its work."""
        network = self.config.network
        return network.plugin != "cilium" or not network.cilium.kube_proxy_replacement

    @property
    def masters(self) -> tuple[HostPlan, ...]:
        """Hosts that run the control plane, in the file's order."""
        return tuple(host for host in self.hosts if host.is_master)

    @property
    def etcd_members(self) -> tuple[HostPlan, ...]:
        """Hosts that run etcd, in the file's order."""
        return tuple(host for host in self.hosts if host.is_etcd)

    @property
    def nodes(self) -> tuple[HostPlan, ...]:
        """Hosts that run a kubelet, in the file's order."""
        return tuple(host for host in self.hosts if host.is_node)

    @property
    def image_registries(self) -> tuple[HostPlan, ...]:
        """The host that the cluster's own image registry runs on, if it has one."""
        return tuple(host for host in self.hosts if self.serves_images(host))

    def balances(self, host: HostPlan) -> bool:
        """Whether the host reaches the API servers through a load balancer of its own."""
        return host.is_node and not host.is_master and self.config.api.endpoint is None

    def shares_virtual_ip(self, host: HostPlan) -> bool:
        """Whether the host is one of those that the virtual IP of the API can be on."""
        return host.is_master and self.config.api.virtual_ip is not None

    @property
    def local_api(self) -> str:
        """HOST:PORT at which a master, or a load balancer, serves the API to its own host."""
        return f"127.0.0.1:{self.config.api.port}"

    def api_of(self, host: HostPlan) -> str:
        """HOST:PORT through which the kubelet and kube-proxy of a host reach the API."""
        return self.local_api if host.is_master else self.node_api_endpoint

    def serves_images(self, host: HostPlan) -> bool:
        """Whether the cluster's own image registry runs on the host."""
        return self.local_registry is not None and self.local_registry.host == host.name

    def package_purposes(self, host: HostPlan) -> tuple[Purpose, ...]:
        """What the host needs packages of its distribution for."""
        runtime = self.config.runtime
        node: tuple[Purpose, ...] = ("node",) if host.is_node else ()
        if self.serves_images(host):
            node = (*node, "registry")
        if host.is_node and runtime.source == "distribution":
            node = (*node, runtime.name)
        if host.is_node and self.has_kube_proxy and self.config.network.kube_proxy_mode == "nftables":
            node = (*node, "nftables")
        if self.shares_virtual_ip(host):
            node = (*node, "virtual_ip")
        return (*node, "load_balancer") if self.balances(host) else node

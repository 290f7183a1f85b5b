"""The components that hosts run: the one table of their units, ports, health and hosts.

``tests/roles/test_components.py`` holds the roles to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from k8sbootstrap.plan.models import ClusterPlan, HostPlan

PortNumber = int | Literal["api", "registry"]
"""A number, or the key of cluster.yaml that says it: ``api.port``, ``registry.port``."""
Placement = Literal[
    "etcd", "master", "node", "kube-proxy", "docker", "containerd", "balancer", "virtual-ip", "registry"
]
"""Which hosts a component runs on: those with a role of cluster.yaml, or nodes that need the one it names."""

_MASTER_PKI = "/etc/kubernetes/pki"
_ETCD_PKI = "/etc/etcd/pki"


@dataclass(frozen=True)
class Port:
    """A TCP port that a component listens at."""

    number: PortNumber
    local: bool = False
    """At 127.0.0.1 alone."""
    clients: tuple[Placement, ...] = ()
    """Which of the cluster's hosts connect to it from elsewhere."""


@dataclass(frozen=True)
class Health:
    """The health endpoint of a component, on its own host."""

    scheme: Literal["http", "https"]
    port: PortNumber
    path: str
    ca: str | None = None
    """File on the host with the CA of its certificate; None checks none."""
    client: str | None = None
    """File on the host with the client certificate to show, without ``.crt``; the key is ``.key``."""


@dataclass(frozen=True)
class Component:
    """A systemd service that the cluster consists of."""

    name: str
    """Its unit, without ``.service``."""
    role: str
    """The Ansible role that installs it."""
    placement: Placement
    ports: tuple[Port, ...] = ()
    health: Health | None = None
    """None where the role alone waits for it."""
    version: tuple[str, ...] = ()
    """The command that prints its version; empty for ``/usr/local/bin/NAME --version``."""
    observed: bool = True
    """Whether ``status`` and ``verify`` look at it."""

    @property
    def unit(self) -> str:
        """Its unit, as systemd names it."""
        return f"{self.name}.service"

    @property
    def version_command(self) -> tuple[str, ...]:
        """The command that prints its version."""
        return self.version or (f"/usr/local/bin/{self.name}", "--version")

    def runs_on(self, plan: ClusterPlan, host: HostPlan) -> bool:
        """Whether the host runs it."""
        return is_placed(self.placement, plan, host)


COMPONENTS = (
    Component(
        "etcd",
        "etcd",
        "etcd",
        (
            Port(2379, clients=("etcd", "master")),
            Port(2380, clients=("etcd",)),
            Port(2381, local=True),
        ),
        # a full database is no reason to hold back what helps: doctor and verify name it
        Health(
            "https",
            2379,
            "/health?exclude=NOSPACE",
            f"{_ETCD_PKI}/ca.crt",
            f"{_ETCD_PKI}/healthcheck-client",
        ),
    ),
    Component(
        "kube-apiserver",
        "kube_apiserver",
        "master",
        (Port("api", clients=("master", "node")),),
        Health("https", "api", "/readyz", f"{_MASTER_PKI}/ca.crt", f"{_MASTER_PKI}/apiserver-kubelet-client"),
    ),
    Component(
        "kube-controller-manager",
        "kube_controller_manager",
        "master",
        (Port(10257, local=True),),
        Health("https", 10257, "/healthz"),
    ),
    Component(
        "kube-scheduler",
        "kube_scheduler",
        "master",
        (Port(10259, local=True),),
        Health("https", 10259, "/healthz"),
    ),
    Component(
        "kubelet",
        "kubelet",
        "node",
        (Port(10248, local=True), Port(10250, clients=("master",))),
        Health("http", 10248, "/healthz"),
    ),
    Component(
        "kube-proxy",
        "kube_proxy",
        "kube-proxy",
        (Port(10249, local=True), Port(10256)),
        Health("http", 10256, "/healthz"),
    ),
    Component(
        "docker",
        "container_runtime",
        "docker",
        version=("docker", "version", "--format", "{{.Server.Version}}"),
    ),
    Component("containerd", "container_runtime", "containerd", version=("containerd", "--version")),
    Component("cri-dockerd", "container_runtime", "docker"),
    Component(
        "haproxy", "api_loadbalancer", "balancer", (Port("api", local=True),), version=("haproxy", "-v")
    ),
    Component(
        "keepalived",
        "api_virtual_ip",
        "virtual-ip",
        version=("sh", "-c", "keepalived --version 2>&1"),
    ),
    Component(
        "docker-registry",
        "image_registry",
        "registry",
        (Port("registry", clients=("node",)),),
        observed=False,
    ),
)
"""In the order in which they are shown."""


def components_of(plan: ClusterPlan, host: HostPlan) -> Iterator[Component]:
    """The components that a host runs."""
    return (component for component in COMPONENTS if component.runs_on(plan, host))


def is_placed(placement: Placement, plan: ClusterPlan, host: HostPlan) -> bool:
    """Whether a host is one of those that a placement means."""
    runtime = plan.config.runtime.name
    placed: dict[Placement, bool] = {
        "etcd": host.is_etcd,
        "master": host.is_master,
        "node": host.is_node,
        "kube-proxy": host.is_node and plan.has_kube_proxy,
        "docker": host.is_node and runtime == "docker",
        "containerd": host.is_node and runtime == "containerd",
        "balancer": plan.balances(host),
        "virtual-ip": plan.shares_virtual_ip(host),
        "registry": plan.serves_images(host),
    }
    return placed[placement]


def port_number(port: PortNumber, plan: ClusterPlan) -> int:
    """The number of a port.

    Raises:
        ValueError: It is the image registry's, and the cluster has none of its own.
    """
    if isinstance(port, int):
        return port
    if port == "api":
        return plan.config.api.port
    if plan.local_registry is None:
        raise ValueError("the cluster has no image registry of its own")
    return plan.local_registry.port

"""Every certificate of a cluster, as one table. Nothing else says what a certificate contains."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from k8sbootstrap.plan.models import ClusterPlan, HostPlan

CA = "ca"
FRONT_PROXY_CA = "front-proxy-ca"
ETCD_CA = "etcd/ca"
SERVICE_ACCOUNT = "sa"
OPERATOR_KUBECONFIG = "admin.kubeconfig"

CLIENT = frozenset({"client"})
SERVER = frozenset({"server"})
BOTH = CLIENT | SERVER

HostSans = Callable[[ClusterPlan, HostPlan], tuple[str, ...]]


def _own_sans(_plan: ClusterPlan, host: HostPlan) -> tuple[str, ...]:
    return (host.name, str(host.private_address), host.address)


def _apiserver_sans(plan: ClusterPlan, host: HostPlan) -> tuple[str, ...]:
    return (*_own_sans(plan, host), *plan.api_sans)


def _local_sans(plan: ClusterPlan, host: HostPlan) -> tuple[str, ...]:
    return (*_own_sans(plan, host), "localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Subject:
    """The subject of a certificate, and its usages."""

    common_name: str
    organizations: tuple[str, ...] = ()
    """Kubernetes takes them for groups."""
    usages: frozenset[str] = CLIENT
    """client, server or both."""
    sans: frozenset[str] = frozenset()
    """DNS names and IP addresses."""


@dataclass(frozen=True)
class Authority:
    """A certificate authority."""

    name: str
    """Path of its files in the PKI folder, without a suffix."""
    common_name: str


@dataclass(frozen=True)
class Leaf:
    """A certificate and its key, in two files."""

    name: str
    """Path of its files in the PKI folder, without a suffix."""
    ca: str
    """Name of the authority that signs it."""
    subject: Subject
    host: str = ""
    """The host that it is for; empty where hosts share it."""
    restarts: str = ""
    """Component that must restart to use a new one; empty where its programs read it again by themselves."""

    @property
    def file(self) -> str:
        """Path of the certificate's file in the PKI folder."""
        return f"{self.name}.crt"


@dataclass(frozen=True)
class Kubeconfig:
    """A kubeconfig with its own client certificate inside. All hosts that need it share it."""

    name: str
    """Path in the PKI folder; ``OPERATOR_KUBECONFIG`` alone is the state directory's."""
    subject: Subject
    server: str
    """HOST:PORT of the API."""
    user: str
    """Name of the user in the file, without the cluster's name."""
    restarts: str = ""
    """Component that must restart to use a new one."""
    ca: str = field(default=CA, init=False)
    host: str = field(default="", init=False)

    @property
    def file(self) -> str:
        """Path of the certificate's file in the PKI folder."""
        return self.name


AUTHORITIES = (
    Authority(CA, "kubernetes"),
    Authority(FRONT_PROXY_CA, "front-proxy-ca"),
    Authority(ETCD_CA, "etcd-ca"),
)

_CLUSTER_LEAVES = (
    Leaf("apiserver-kubelet-client", CA, Subject("kube-apiserver-kubelet-client")),
    Leaf("front-proxy-client", FRONT_PROXY_CA, Subject("front-proxy-client")),
    Leaf("apiserver-etcd-client", ETCD_CA, Subject("kube-apiserver-etcd-client")),
    Leaf("etcd/healthcheck-client", ETCD_CA, Subject("kube-etcd-healthcheck-client")),
)


@dataclass(frozen=True)
class _HostLeaf:
    """One certificate on every host that needs it; ``{host}`` stands for the host's name."""

    name: str
    ca: str
    common_name: str
    organizations: tuple[str, ...]
    usages: frozenset[str]
    sans: HostSans
    needed: Callable[[ClusterPlan, HostPlan], bool]
    restarts: str = ""


_HOST_LEAVES = (
    _HostLeaf("apiserver", CA, "kube-apiserver", (), SERVER, _apiserver_sans, lambda _, host: host.is_master),
    _HostLeaf("etcd-server", ETCD_CA, "{host}", (), BOTH, _local_sans, lambda _, host: host.is_etcd),
    _HostLeaf("etcd-peer", ETCD_CA, "{host}", (), BOTH, _local_sans, lambda _, host: host.is_etcd),
    _HostLeaf(
        "kubelet-serving",
        CA,
        "system:node:{host}",
        ("system:nodes",),
        SERVER,
        _own_sans,
        lambda _, host: host.is_node,
    ),
    _HostLeaf(
        "image-registry",
        CA,
        "{host}",
        (),
        SERVER,
        _local_sans,
        lambda plan, host: plan.serves_images(host),
        "docker-registry",
    ),
)


def entries(plan: ClusterPlan) -> Iterator[Leaf | Kubeconfig]:
    """Every certificate of this cluster that an authority signs."""
    yield from leaves(plan)
    yield from kubeconfigs(plan)


def leaves(plan: ClusterPlan) -> Iterator[Leaf]:
    """Every certificate with files of its own that this cluster needs."""
    yield from _CLUSTER_LEAVES
    for host in plan.hosts:
        for row in _HOST_LEAVES:
            if row.needed(plan, host):
                subject = Subject(
                    row.common_name.format(host=host.name),
                    row.organizations,
                    row.usages,
                    frozenset(row.sans(plan, host)),
                )
                yield Leaf(f"hosts/{host.name}/{row.name}", row.ca, subject, host.name, row.restarts)


def kubeconfigs(plan: ClusterPlan) -> Iterator[Kubeconfig]:
    """Every kubeconfig that this cluster needs."""
    admin = Subject("kubernetes-admin", ("kubeadm:cluster-admins",))
    local = plan.local_api
    yield Kubeconfig("kubeconfigs/admin.conf", admin, local, "admin")
    yield Kubeconfig(
        "kubeconfigs/super-admin.conf",
        Subject("kubernetes-super-admin", ("system:masters",)),
        local,
        "super-admin",
    )
    for component in ("controller-manager", "scheduler"):
        subject = Subject(f"system:kube-{component}")
        yield Kubeconfig(
            f"kubeconfigs/{component}.conf", subject, local, component, restarts=f"kube-{component}"
        )
    yield Kubeconfig(OPERATOR_KUBECONFIG, admin, plan.api_endpoint, "admin")

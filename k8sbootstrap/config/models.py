"""cluster.yaml as pydantic models. The docstring under a field is its reference documentation.

Keys are camelCase in the file and snake_case here. Unknown keys are errors; ``config.explain`` suggests.
Rules that span fields live in ``config.rules``, so that every problem is collected in one pass.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag
from pydantic.alias_generators import to_camel

API_VERSION = "k8sbootstrap/v1alpha1"

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
DNS_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
VERSION = r"^\d+\.\d+\.\d+$"
IMAGE_VERSION = r"^\d+\.\d+(\.\d+)?$"
DNS_SERVER = r"^\d{1,3}(\.\d{1,3}){3}(:\d{1,5})?$"
CHART_VERSION = r"^v?\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$"
SHA256 = r"^[0-9a-f]{64}$"
HTTP_URL = r"^https?://[^\s]+$"
REGISTRY_HOST = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:\d{1,5})?$"
DOCKER_SIZE = r"^[1-9]\d*[kmg]$"
FOLDER = r"^(/[\w.-]+)+$"

DnsLabel = Annotated[str, StringConstraints(pattern=DNS_LABEL)]
"""RFC 1123 label: lower case letters, digits and inner hyphens, 63 at most."""
DnsName = Annotated[str, StringConstraints(pattern=DNS_NAME, max_length=253)]
Version = Annotated[str, StringConstraints(pattern=VERSION)]
ImageVersion = Annotated[str, StringConstraints(pattern=IMAGE_VERSION)]
Sha256 = Annotated[str, StringConstraints(pattern=SHA256)]
HttpUrl = Annotated[str, StringConstraints(pattern=HTTP_URL)]
RegistryHost = Annotated[str, StringConstraints(pattern=REGISTRY_HOST)]
DockerSize = Annotated[str, StringConstraints(pattern=DOCKER_SIZE)]
Folder = Annotated[str, StringConstraints(pattern=FOLDER)]
"""Absolute path of a folder on hosts."""
ReleaseName = Annotated[str, StringConstraints(pattern=DNS_NAME, max_length=53)]
"""Name of a Helm release: 53 characters at most, as helm has it."""
ChartVersion = Annotated[str, StringConstraints(pattern=CHART_VERSION)]
DnsServer = Annotated[str, StringConstraints(pattern=DNS_SERVER)]
Port = Annotated[int, Field(ge=1, le=65535)]
Role = Literal["master", "worker", "etcd"]
KubeProxyMode = Literal["iptables", "nftables"]
PodNetworkName = Literal["routed", "flannel", "calico", "cilium", "none"]
Mtu = Annotated[int, Field(ge=576, le=65535)]
Arch = Literal["amd64", "arm64"]
"""Architectures that the catalogue has releases for (a test says so)."""
Component = Literal[
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"
]

HookPoint = Literal[
    "host",
    "etcd",
    "control_plane",
    "packages",
    "image_registry",
    "upgrade",
    "container_runtime",
    "kubelet",
    "pod_network",
    "kube_proxy",
    "addons",
    "up",
    "reset",
]
"""What a hook runs before or after: a phase, as in ``runner.phases`` (a test says so), or a whole run."""
ConfiguredComponent = Literal["kubelet", "kube-proxy", "kube-scheduler"]
"""Components that read a configuration file."""


class Model(BaseModel):
    """Base: camelCase keys, nothing unknown, nothing changed after loading."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


def variant(key: str) -> str:
    """The mark that the variant of a union with this key leaves in pydantic's error locations."""
    return f"({key})"


def _chosen_by(*keys: str) -> Callable[[Any], str | None]:
    """Pick a union's variant by the one key that is there: errors then speak of that variant alone."""

    def choose(value: Any) -> str | None:
        has = value.__contains__ if isinstance(value, dict) else lambda key: hasattr(value, key)
        present = [key for key in keys if has(key)]
        return variant(present[0]) if len(present) == 1 else None

    return choose


class EnvSecret(Model):
    """A secret read from an environment variable of the controller."""

    env: str
    """Name of the environment variable."""


class FileSecret(Model):
    """A secret read from a file on the controller; trailing newlines are dropped."""

    file: Path
    """Path of the file, relative to cluster.yaml."""


Secret = Annotated[
    Annotated[EnvSecret, Tag(variant("env"))] | Annotated[FileSecret, Tag(variant("file"))],
    Discriminator(_chosen_by("env", "file"), custom_error_type="one_of", custom_error_message="env, file"),
]


class Bastion(Model):
    """A host that SSH connections pass through."""

    address: str
    """Host name or IP address of the bastion."""
    port: Port = 22
    """TCP port of its SSH server."""
    user: str | None = None
    """User to log in as; the host's own SSH user when not given."""


class SSH(Model):
    """How to reach hosts. Every key can be set once for all hosts and again for one host."""

    user: str | None = None
    """User to log in as. Default: root."""
    port: Port | None = None
    """TCP port of the SSH server. Default: 22."""
    key: Path | None = None
    """Private key file, relative to cluster.yaml; ~ is expanded. Default: the keys of the agent and OpenSSH's
    usual ones."""
    bastion: Bastion | None = None
    """Host to go through. Default: none, hosts are reached directly."""
    sudo: bool | None = None
    """Become root with sudo. Default: true unless the user is root."""
    sudo_password: Secret | None = None
    """Password for sudo where it asks for one."""


class Taint(Model):
    """A taint that keeps pods without a matching toleration off a node."""

    key: str
    """Taint key, such as example.com/dedicated."""
    value: str = ""
    """Taint value; may be empty."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
    """What happens to pods that do not tolerate the taint."""


class Host(Model):
    """One Linux machine."""

    name: DnsLabel
    """Name of the host and of its node: an RFC 1123 label, unique in the cluster."""
    address: str
    """Host name or IP address that SSH connects to."""
    private_address: IPv4Address | None = None
    """IPv4 address that cluster traffic uses. Default: address, which must be an IPv4 address then."""
    roles: list[Role] = Field(min_length=1)
    """What runs here: master (control plane), worker, etcd. Masters hold etcd when no host has the role
    etcd."""
    arch: Arch = "amd64"
    """Architecture of its processor; its binaries are for that. Hosts of one cluster may differ."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Node labels to set."""
    taints: list[Taint] | None = None
    """Node taints. Default: masters that are not workers get the control-plane taint, all others none."""
    ssh: SSH = Field(default_factory=SSH)
    """How to reach this host, where it differs from the cluster's ssh settings."""

    @property
    def cluster_address(self) -> IPv4Address | None:
        """The IPv4 address that cluster traffic uses; None, an error in a file, where there is none."""
        if self.private_address is not None:
            return self.private_address
        try:
            return IPv4Address(self.address)
        except ValueError:
            return None


class Kubernetes(Model):
    """The Kubernetes release and its components' settings."""

    version: Version
    """Kubernetes release, MAJOR.MINOR.PATCH without a leading v."""
    extra_args: dict[Component, dict[str, str]] = Field(default_factory=dict)
    """Extra flags per component, flag name without dashes to value; they win over k8sbootstrap's own."""
    extra_config: dict[ConfiguredComponent, dict[str, Any]] = Field(default_factory=dict)
    """Extra fields of the configuration files of kubelet, kube-proxy and kube-scheduler, merged over
    k8sbootstrap's."""


class OwnFile(Model):
    """Where a file, or the archive around it, is, and what it must be."""

    url: HttpUrl
    """Address that it is downloaded from instead of the project's own site."""
    sha256: Sha256
    """Its sha256, 64 hexadecimal digits."""


class OwnRelease(Model):
    """A Kubernetes release that the catalogue does not have, or has with other files."""

    etcd: Version | None = None
    """Version of etcd. Default for this and the others: the one of the newest catalogued release of the
    minor."""
    containerd: Version | None = None
    """Version of containerd, for hosts that take upstream's."""
    runc: Version | None = None
    """Version of runc, for hosts that take upstream's containerd."""
    cni_plugins: Version | None = None
    """Version of the CNI project's plugins."""
    crictl: Version | None = None
    """Version of crictl."""
    cri_dockerd: Version | None = None
    """Version of cri-dockerd, from Kubernetes 1.24 on."""
    pause: ImageVersion | None = None
    """Version of the pause image."""
    coredns: ImageVersion | None = None
    """Version of the CoreDNS image, without a leading v."""
    files: dict[str, OwnFile] = Field(default_factory=dict)
    """Files by NAME/VERSION/ARCH/FILE, or archives by NAME/VERSION/ARCH where the project publishes archives.
    Default: the projects' own sites, and the checksums that they publish."""


class Registry(Model):
    """How nodes reach one image registry."""

    host: RegistryHost
    """HOST or HOST:PORT as names of images begin with, such as docker.io or registry.example.com:5000."""
    mirrors: list[HttpUrl] = Field(default_factory=list)
    """URLs that its images are pulled from first, in this order. What is needed to reach a mirror stands in
    an entry for the mirror's own host. docker has mirrors of docker.io alone."""
    ca: Path | None = None
    """PEM file with the CA of its certificate, relative to cluster.yaml. Default: one of the hosts' own."""
    username: str | None = None
    """User to pull as. Default: images are pulled without a login, or with their pods' imagePullSecrets."""
    password: Secret | None = None
    """Password or access token of that user."""


class ImageRegistry(Model):
    """An image registry of the cluster's own, which nodes ask before those that images are named after."""

    host: DnsLabel
    """Name of the host that it runs on."""
    port: Port = 5000
    """TCP port that it serves HTTPS on."""
    data_folder: Folder = "/var/lib/k8sbootstrap-registry"
    """Folder of its images on that host. Images that were put in stay when they are no longer used."""
    images: list[Path] = Field(default_factory=list)
    """Images that it has beside the cluster's own and those of runtime.images: docker archives (docker save),
    relative to cluster.yaml; ~ is expanded."""


class Docker(Model):
    """Settings of docker itself."""

    log_max_size: DockerSize = "50m"
    """Size at which a container's log is rotated: a number and k, m or g. A container keeps its setting."""
    log_max_files: int = Field(default=3, ge=1, le=100)
    """How many files of a container's log are kept."""
    data_root: Folder = "/var/lib/docker"
    """Folder of images and containers. Drain a node before you change it: docker finds nothing in a new
    one."""
    live_restore: bool = True
    """Whether containers run on while docker is stopped or restarted."""


class Runtime(Model):
    """The container runtime."""

    name: Literal["docker", "containerd"] = "docker"
    """docker (dockershim below Kubernetes 1.24, cri-dockerd from 1.24 on) or containerd."""
    source: Literal["distribution", "upstream"] = "distribution"
    """Where containerd and runc come from: the distribution's packages, or the projects' own releases that go
    with the Kubernetes release. docker always comes from the distribution."""
    registries: list[Registry] = Field(default_factory=list)
    """Image registries that need a login, a CA or mirrors. All others are reached directly."""
    images: list[Path] = Field(default_factory=list)
    """Images to load on every node of their architecture: docker archives (docker save), relative to
    cluster.yaml; ~ is expanded."""
    docker: Docker = Field(default_factory=Docker)
    """Settings of docker, where that is the runtime."""


class Upgrade(Model):
    """How nodes are taken to another Kubernetes release."""

    max_unavailable: int = Field(default=1, ge=1, le=1000)
    """Workers that are upgraded at a time, and take no pods meanwhile. Masters go one at a time."""
    drain_timeout: int = Field(default=300, ge=1, le=86400)
    """Seconds that the pods of a node may take to go elsewhere; PodDisruptionBudgets may hold them up."""


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
    Services and needs Linux 5.13; Kubernetes 1.20 has no nftables. When it is changed on a running cluster,
    the rules of the other mode are removed."""
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
    """Set the number of pods by the cluster's size, whoever adds and removes nodes. Default: replicas."""
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
    the admin kubeconfig names the first master."""
    port: Port = 6443
    """TCP port of the API server on every master, and of the local haproxy on workers."""
    extra_sans: list[str] = Field(default_factory=list, alias="extraSANs")
    """More host names or IP addresses that the API server's certificate is valid for."""


class DirectorySource(Model):
    """A directory on the controller with files laid out as NAME/VERSION/ARCH/FILE."""

    directory: Path
    """Path of the directory, relative to cluster.yaml; ~ is expanded."""


class MirrorSource(Model):
    """An HTTP(S) server with files laid out as NAME/VERSION/ARCH/FILE."""

    url: HttpUrl
    """Base URL. Hosts fetch from it themselves where they can reach it."""


Source = Annotated[
    Annotated[DirectorySource, Tag(variant("directory"))] | Annotated[MirrorSource, Tag(variant("url"))],
    Discriminator(
        _chosen_by("directory", "url"), custom_error_type="one_of", custom_error_message="directory, url"
    ),
]


class Artifacts(Model):
    """Where the files to install come from: the local cache first, then sources in order, then upstream."""

    sources: list[Source] = Field(default_factory=list)
    """Directories and mirrors, asked in this order before upstream."""
    upstream: bool = True
    """Whether files that no source has may be fetched from the projects' own release sites."""
    bundle: Path | None = None
    """A file made by "k8sbootstrap bundle create", relative to cluster.yaml; ~ is expanded. All files and
    distribution packages come from it then, and nothing else is asked."""


class FileManifest(Model):
    """A file on the controller with Kubernetes objects, in YAML or JSON."""

    file: Path
    """Path of the file, relative to cluster.yaml; ~ is expanded."""


class DirectoryManifest(Model):
    """A directory on the controller with such files."""

    directory: Path
    """Path of the directory, relative to cluster.yaml; ~ is expanded. Its .yaml, .yml and .json files, and
    those of its subdirectories, are applied in the order of their paths."""


class UrlManifest(Model):
    """Such a file on an HTTP(S) server."""

    url: HttpUrl
    """Address of the file."""
    sha256: Sha256
    """Its sha256, 64 hexadecimal digits."""


class ChartManifest(Model):
    """A Helm chart. It is rendered on the controller, and its objects are applied as any others."""

    chart: Path
    """Name of the chart in its repository. Without a repository: its folder or .tgz file on the controller,
    relative to cluster.yaml; ~ is expanded."""
    repository: HttpUrl | None = None
    """Address of the Helm repository, without index.yaml."""
    version: ChartVersion | None = None
    """Version of the chart in the repository."""
    sha256: Sha256 | None = None
    """sha256 of the chart's .tgz file in the repository, 64 hexadecimal digits."""
    release: ReleaseName
    """Name of the release, as in helm install."""
    namespace: DnsLabel = "default"
    """Namespace of the release. It is made where no manifest describes it, and stays when the chart is
    removed."""
    values_files: list[Path] = Field(default_factory=list)
    """YAML files with values, relative to cluster.yaml; ~ is expanded. Later ones win."""
    values: dict[str, Any] = Field(default_factory=dict)
    """Values; they win over those in files."""


Manifest = Annotated[
    Annotated[FileManifest, Tag(variant("file"))]
    | Annotated[DirectoryManifest, Tag(variant("directory"))]
    | Annotated[UrlManifest, Tag(variant("url"))]
    | Annotated[ChartManifest, Tag(variant("chart"))],
    Discriminator(
        _chosen_by("file", "directory", "url", "chart"),
        custom_error_type="one_of",
        custom_error_message="file, directory, url, chart",
    ),
]


class Proxy(Model):
    """HTTP proxy for downloads, package managers and the container runtime on hosts."""

    http: HttpUrl | None = None
    """Proxy URL for http:// requests."""
    https: HttpUrl | None = None
    """Proxy URL for https:// requests."""
    no_proxy: list[str] = Field(default_factory=list)
    """Names, addresses and CIDRs reached directly; the cluster's own are always added."""


class Hook(Model):
    """A command that runs on this machine before or after phases, and reads what happens as JSON."""

    command: list[str] = Field(min_length=1)
    """Program and arguments; no shell reads them. A program with a slash in it is relative to cluster.yaml, ~
    is expanded; any other is looked for in PATH."""
    before: list[HookPoint] = Field(default_factory=list)
    """Phases that begin only when it has ended; up and reset stand for the whole run."""
    after: list[HookPoint] = Field(default_factory=list)
    """Phases that it runs after, also where they failed; nothing goes on before it has ended."""
    timeout: int = Field(default=60, ge=1, le=86400)
    """Seconds that it may take. Then it is stopped, with all that it started, and has failed."""
    on_failure: Literal["stop", "warn"] = "stop"
    """stop: a failure ends the run. warn: it is shown, and the run goes on."""


class Cluster(Model):
    """A whole cluster.yaml."""

    api_version: Literal["k8sbootstrap/v1alpha1"]
    """Version of this file's format."""
    kind: Literal["Cluster"]
    """Always Cluster."""
    name: DnsLabel
    """Name of the cluster; names the state directory and the kubeconfig's context."""
    kubernetes: Kubernetes
    """The Kubernetes release and its components' settings."""
    hosts: list[Host] = Field(min_length=1)
    """The machines, in order; the first master is the one that the admin kubeconfig names."""
    ssh: SSH = Field(default_factory=SSH)
    """How to reach hosts, for all that do not say otherwise."""
    releases: dict[Version, OwnRelease] = Field(default_factory=dict)
    """Kubernetes releases of your own for this cluster, by version; their minors must be in the catalogue."""
    runtime: Runtime = Field(default_factory=Runtime)
    """The container runtime."""
    registry: ImageRegistry | None = None
    """An image registry on one of the hosts. Default: none."""
    network: Network = Field(default_factory=Network)
    """Addresses of pods and Services, and the pod network."""
    dns: Dns = Field(default_factory=Dns)
    """The cluster's DNS."""
    api: Api = Field(default_factory=Api)
    """How clients reach the Kubernetes API."""
    artifacts: Artifacts = Field(default_factory=Artifacts)
    """Where the files to install come from."""
    proxy: Proxy = Field(default_factory=Proxy)
    """HTTP proxy for hosts."""
    upgrade: Upgrade = Field(default_factory=Upgrade)
    """How nodes are taken to another Kubernetes release."""
    manifests: list[Manifest] = Field(default_factory=list)
    """Kubernetes objects and Helm charts of your own: applied in this order once the cluster is up, and
    removed from it when they are removed here."""
    hooks: list[Hook] = Field(default_factory=list)
    """Commands to run on this machine before and after phases, in this order."""

"""What the release catalogue says, as data types. The data itself is ``releases.yaml``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict


@dataclass(frozen=True)
class RepositoryChart:
    """Where a Helm chart is published: the repository's index says where its file is."""

    repository: str
    """Address of the repository."""
    name: str
    version: str


@dataclass(frozen=True)
class ArtifactFile:
    """One file that a host may need, identified as ``NAME/VERSION/ARCH/FILE``."""

    name: str
    """Project, such as kubernetes, etcd or cri-dockerd, or image, such as pause."""
    version: str
    arch: str
    """amd64 or arm64."""
    file: str
    """File name, such as kubelet; for images always image.tar."""
    sha256: str | None = None
    """Hex digest of the file itself; None where upstream publishes none for it."""
    url: str | None = None
    """Upstream address of the file, or of the archive that holds it; None for images."""
    url_sha256: str | None = None
    """Hex digest of the archive at ``url`` when that is an archive."""
    member: str | None = None
    """Path of the file inside the archive at ``url``; None when ``url`` is the file itself."""
    known_by: str = "the release catalogue"
    """Where ``sha256`` and ``url_sha256`` come from, for messages."""
    checksum_url: str | None = None
    """Upstream checksum file beside ``url``, used over TLS when no digest is known."""
    chart: RepositoryChart | None = None
    """What the file is in its Helm repository, in place of ``url``."""

    @property
    def runs_on_controller(self) -> bool:
        """Whether it is a program that this machine runs. No source vouches for it, whatever it lists."""
        return self.name == "helm"

    @property
    def key(self) -> str:
        """``NAME/VERSION/ARCH/FILE``: the path in a cache, directory or mirror."""
        return f"{self.name}/{self.version}/{self.arch}/{self.file}"


@dataclass(frozen=True)
class FileOverride:
    """Another place for a file, or for the archive around it, than the catalogue has."""

    url: str
    sha256: str
    """64 hexadecimal digits."""


@dataclass(frozen=True)
class Overrides:
    """What a user sets of a release in place of what the catalogue has."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions by field of the catalogue's ``Versions``, such as ``cri_dockerd``."""
    files: Mapping[str, FileOverride] = field(default_factory=dict)
    """Files by NAME/VERSION/ARCH/FILE, or archives by NAME/VERSION/ARCH."""


@dataclass(frozen=True)
class Image:
    """A container image that nodes use, pulled by the runtime unless a source has it as a tar file."""

    ref: str
    """Full reference, such as registry.k8s.io/pause:3.10.1."""
    artifact: ArtifactFile
    """Where a docker-archive tar of it would be in a source (optional there)."""


@dataclass(frozen=True)
class Conformance:
    """What upstream's Conformance tests of one release need."""

    e2e_test: ArtifactFile
    """The tests."""
    ginkgo: ArtifactFile
    """The program that runs them in parallel."""
    images: tuple[Image, ...]
    """What they start."""


@dataclass(frozen=True)
class PodNetwork:
    """A pod network that is objects in the cluster, as its project publishes them."""

    name: str
    version: str
    manifest: ArtifactFile
    """The project's own manifest, which settings are written into, or its Helm chart."""
    images: tuple[Image, ...]
    """All that the manifest names."""

    @property
    def is_chart(self) -> bool:
        """Whether it is a chart, and settings are its values."""
        return self.manifest.file.endswith(".tgz")


@dataclass(frozen=True)
class Minor:
    """What one Kubernetes minor takes."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    minor: str
    """MAJOR.MINOR, such as 1.36."""
    etcd_least: str
    """The oldest etcd that this minor works with."""
    runtimes: Mapping[str, str] = field(default_factory=dict)
    """Runtime (docker, containerd) to the first of its versions that works with this minor."""
    runtime_kubelet_config: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Fields of KubeletConfiguration that this minor needs, by runtime (docker, containerd)."""
    fail_cgroup_v1: bool = False
    """Whether the kubelet refuses cgroup v1 hosts unless failCgroupV1 is false."""


@dataclass(frozen=True)
class Release:
    """One Kubernetes release for one architecture, with all that goes with it."""

    version: str
    arch: str
    minor: Minor
    binaries: Mapping[str, ArtifactFile]
    """kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy, kubectl, etcd, etcdctl,
    etcdutl and (where the runtime needs it) cri-dockerd, or containerd and what belongs to it, to their
    files."""
    cni_plugins: Mapping[str, ArtifactFile]
    """bridge, host-local, loopback, portmap."""
    containerd: Mapping[str, ArtifactFile]
    """containerd, containerd-shim-runc-v2, ctr and runc, for hosts that don't take their distribution's."""
    containerd_config: int
    """Version of containerd's configuration file: 3 for upstream's 2.x. The 1.x that distributions have take
    2, and later ones read it too."""
    crictl: ArtifactFile
    runtime_endpoint: str
    """The kubelet's CRI endpoint, as in unix:///run/cri-dockerd.sock."""
    pause: Image
    coredns: Image
    pod_networks: Mapping[str, PodNetwork]
    """Pod networks that are objects in the cluster, by name."""
    dns_node_cache: Image
    """A DNS cache for every node, where cluster.yaml asks for it."""
    dns_autoscaler: Image
    """What sets the number of CoreDNS's pods, where cluster.yaml asks for it."""
    test_image: Image
    """Small image with a shell, httpd, wget and nc (busybox), for verify's pods."""

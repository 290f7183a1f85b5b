"""Kubernetes itself: the release, files of one that the catalogue does not have, and upgrades."""

from typing import Any

from pydantic import Field

from k8sbootstrap.catalog.models import FileOverride, Overrides
from k8sbootstrap.config.models.base import (
    Component,
    ConfiguredComponent,
    HttpUrl,
    ImageVersion,
    Model,
    Sha256,
    Version,
)


class Kubernetes(Model):
    """The Kubernetes release and its components' settings."""

    version: Version
    """Kubernetes release, MAJOR.MINOR.PATCH without a leading v. Of a minor in the release catalogue, it may
    be newer than the catalogue's newest one."""
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
    """A Kubernetes release with other versions or files than the catalogue's."""

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
    """Version of cri-dockerd, where docker is the runtime."""
    pause: ImageVersion | None = None
    """Version of the pause image."""
    coredns: ImageVersion | None = None
    """Version of the CoreDNS image, without a leading v."""
    files: dict[str, OwnFile] = Field(default_factory=dict)
    """Files by NAME/VERSION/ARCH/FILE, or archives by NAME/VERSION/ARCH where the project publishes archives.
    Default: the projects' own sites, and the checksums that they publish."""

    def overrides(self) -> Overrides:
        """What of it differs from the catalogue."""
        versions = self.model_dump(exclude={"files"}, exclude_none=True, by_alias=False)
        files = {key: FileOverride(file.url, file.sha256) for key, file in self.files.items()}
        return Overrides(versions, files)


class Upgrade(Model):
    """How nodes are taken to another Kubernetes release."""

    max_unavailable: int = Field(default=1, ge=1, le=1000)
    """Workers that are upgraded at a time, and take no pods meanwhile. Masters go one at a time."""
    drain_timeout: int = Field(default=300, ge=1, le=86400)
    """Seconds that the pods of a node may take to go elsewhere; PodDisruptionBudgets may hold them up."""

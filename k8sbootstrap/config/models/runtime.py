"""The container runtime, and where it gets images from."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from k8sbootstrap.config.models.base import DnsLabel, DockerSize, Folder, HttpUrl, Model, Port, RegistryHost
from k8sbootstrap.config.models.hosts import Secret


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
    """docker (with cri-dockerd) or containerd."""
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

"""The whole file, and hooks."""

from typing import Literal

from pydantic import Field

from k8sbootstrap.catalog.models import Overrides
from k8sbootstrap.config.models.addons import Manifest
from k8sbootstrap.config.models.artifacts import Artifacts
from k8sbootstrap.config.models.base import DnsLabel, HookPoint, Model, Version
from k8sbootstrap.config.models.etcd import Etcd
from k8sbootstrap.config.models.hosts import SSH, Host
from k8sbootstrap.config.models.network import Api, Dns, Network, Proxy
from k8sbootstrap.config.models.releases import Kubernetes, OwnRelease, Upgrade
from k8sbootstrap.config.models.runtime import ImageRegistry, Runtime


class Hook(Model):
    """A command that runs on this machine before or after phases, and reads what happens as JSON."""

    command: list[str] = Field(min_length=1)
    """Program and arguments; no shell reads them. A program with a slash in it is relative to cluster.yaml, ~
    is expanded; any other is looked for in PATH."""
    before: list[HookPoint] = Field(default_factory=list)
    """Phases that begin only when it has ended; the name of a command stands for the whole of its run."""
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
    """Kubernetes releases with other versions or files than the catalogue has for them, by version."""
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
    etcd: Etcd = Field(default_factory=Etcd)
    """etcd, which stores the state of the cluster."""
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

    @property
    def own_releases(self) -> dict[str, Overrides]:
        """What ``releases`` sets, by release, as the catalogue takes it."""
        return {version: each.overrides() for version, each in self.releases.items()}

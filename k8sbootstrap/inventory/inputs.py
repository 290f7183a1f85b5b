"""What the variables of roles are computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8sbootstrap.config.models.base import Arch, Component, ConfiguredComponent
from k8sbootstrap.inventory.files import copied
from k8sbootstrap.inventory.model import Sections
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.state import State


@dataclass(frozen=True)
class Inputs:
    """The plan and what was made ready for it, with short ways to what several roles need."""

    plan: ClusterPlan
    state: State
    files: Mapping[Arch, Sections]
    """Architecture to role to the variables that name files to install."""
    stored_images: Sequence[Mapping[str, Any]]
    """What the cluster's own image registry holds."""
    repositories: Mapping[str, Path]
    """System, such as debian12/amd64, to the folder with packages for it."""

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return self.plan.config.name

    @property
    def pki(self) -> str:
        """The folder of certificates and keys."""
        return str(self.state.pki)

    @property
    def masters(self) -> dict[str, str]:
        """Name to address in the cluster, of hosts with an API server."""
        return addresses(self.plan.masters)

    @property
    def etcd_members(self) -> dict[str, str]:
        """Name to address in the cluster, of hosts with etcd."""
        return addresses(self.plan.etcd_members)

    @property
    def proxy(self) -> dict[str, str]:
        """The file with the proxy's variables; empty where there is no proxy."""
        return copied_if_there(self.state.proxy)

    @property
    def logins(self) -> dict[str, str]:
        """The file with logins to image registries; empty where there are none."""
        return copied_if_there(self.state.registry_logins)

    @property
    def snapshot_store(self) -> dict[str, str]:
        """The file with the bucket for snapshots of etcd; empty where there is none."""
        return copied_if_there(self.state.snapshot_store)

    def files_of(self, role: str) -> dict[str, Any]:
        """A role's variables that name files to install, for the architecture of the first host."""
        return dict(self.files[self.plan.hosts[0].arch][role])

    def extra_args(self, component: Component) -> dict[str, str]:
        """Flags of a component that cluster.yaml sets."""
        return dict(self.plan.config.kubernetes.extra_args.get(component, {}))

    def extra_config(self, component: ConfiguredComponent) -> dict[str, Any]:
        """Fields of a component's configuration that cluster.yaml sets."""
        return dict(self.plan.config.kubernetes.extra_config.get(component, {}))


def addresses(hosts: Sequence[HostPlan]) -> dict[str, str]:
    """Name to address in the cluster."""
    return {host.name: str(host.private_address) for host in hosts}


def copied_if_there(path: Path) -> dict[str, str]:
    """A file that a role copies; empty where it does not exist."""
    return copied(path) if path.exists() else {}

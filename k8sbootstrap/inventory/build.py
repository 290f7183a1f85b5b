"""Makes the inventory of a cluster from its plan."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from k8sbootstrap.artifacts.own_images import OwnImage
from k8sbootstrap.inventory.connection import connection_variables
from k8sbootstrap.inventory.digests import Digests
from k8sbootstrap.inventory.files import FetchedFile, files_of_roles, stored_images
from k8sbootstrap.inventory.inputs import Inputs
from k8sbootstrap.inventory.model import Inventory, Sections, Variables
from k8sbootstrap.inventory.roles.table import OWN, SHARED
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.plan.phases import runs_on
from k8sbootstrap.state import State

_ANSIBLE = {"ansible_python_interpreter": "/usr/bin/python3", "ansible_ssh_pipelining": True}


def build_inventory(
    plan: ClusterPlan,
    state: State,
    artifacts: Mapping[str, FetchedFile],
    own_images: Sequence[OwnImage] = (),
    *,
    registry_images: Sequence[OwnImage] = (),
    repositories: Mapping[str, Path] = MappingProxyType({}),
) -> Inventory:
    """The inventory of a cluster.

    Args:
        plan: The desired state.
        state: Where the PKI and known_hosts are.
        artifacts: Every file to install by ``ArtifactFile.key``; images may be missing, nodes pull those.
        own_images: Images that cluster.yaml names, for all nodes.
        registry_images: Those that it names for the cluster's own registry alone.
        repositories: System, such as debian12/amd64, to the folder with packages for it, on sites whose hosts
            have no mirror.

    Raises:
        KeyError: ``artifacts`` lacks a file that the release needs.
    """
    files = {
        arch: files_of_roles(release, plan.images(arch), artifacts, own_images)
        for arch, release in plan.releases.items()
    }
    stored = stored_images(plan, artifacts, [*own_images, *registry_images])
    inputs = Inputs(plan, state, files, stored, repositories)
    shared = _filled({"ansible": _ANSIBLE} | {role: variables(inputs) for role, variables in SHARED.items()})
    hosts = {host.name: _own(inputs, host) for host in plan.hosts}
    digests = Digests(shared, state.pki)
    return Inventory(
        groups=_groups(plan),
        shared=shared,
        hosts=hosts,
        digests={
            host.name: {
                role: digest
                for role, digest in digests.of_host(host.name, hosts[host.name]).items()
                if runs_on(role, plan, host)
            }
            for host in plan.hosts
        },
    )


def build_connections(plan: ClusterPlan) -> Inventory:
    """An inventory that only says how to reach the hosts, for playbooks that install nothing."""
    return Inventory(
        groups=_groups(plan),
        shared={"ansible": _ANSIBLE, "host": {"host_cluster": plan.config.name}},
        hosts={host.name: {"ansible": connection_variables(host)} for host in plan.hosts},
    )


def _groups(plan: ClusterPlan) -> dict[str, list[str]]:
    groups = {
        "masters": plan.masters,
        "etcd": plan.etcd_members,
        "nodes": plan.nodes,
        "image_registry": plan.image_registries,
    }
    return {group: [host.name for host in hosts] for group, hosts in groups.items()}


def _own(inputs: Inputs, host: HostPlan) -> Sections:
    own = {role: variables(inputs, host) for role, variables in OWN.items()}
    for role, files in _own_files(inputs, host):
        own[role] = {**own.get(role, {}), **files}
    return _filled({"ansible": connection_variables(host)} | own)


def _own_files(inputs: Inputs, host: HostPlan) -> Iterable[tuple[str, Variables]]:
    """Files to install on a host of another architecture than the first one's."""
    if host.arch == inputs.plan.release.arch:
        return ()
    return (
        (role, files) for role, files in inputs.files[host.arch].items() if runs_on(role, inputs.plan, host)
    )


def _filled(sections: Sections) -> Sections:
    return {role: variables for role, variables in sections.items() if variables}

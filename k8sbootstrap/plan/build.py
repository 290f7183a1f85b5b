"""From a valid configuration to the plan: every default filled in, every address and name computed."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from k8sbootstrap.catalog.models import Release
from k8sbootstrap.catalog.resolve import release
from k8sbootstrap.config.load import load_cluster, resolve_secret
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.config.models.hosts import SSH, Host, Taint
from k8sbootstrap.config.models.network import DEFAULT_ENDPOINT_PORT
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.plan.models import CONTROL_PLANE, BastionTarget, ClusterPlan, HostPlan, SSHTarget
from k8sbootstrap.plan.registries import plan_local_registry, plan_registries
from k8sbootstrap.state import State

DNS_ADDRESS_INDEX = 10
"""Which address of serviceCIDR the cluster DNS gets."""


def load_plan(cluster_file: Path, bundle: Path | None = None) -> ClusterPlan:
    """Load a cluster file and build its plan.

    Args:
        cluster_file: cluster.yaml.
        bundle: Taken for what ``artifacts.bundle`` names.

    Raises:
        ConfigError: The file, or something that it names, is wrong.
    """
    return build_plan(load_cluster(cluster_file, bundle), cluster_file)


def build_plan(config: Cluster, cluster_file: Path) -> ClusterPlan:
    """Compute the desired state of the whole cluster. Touches no host.

    Args:
        config: A configuration that ``load_cluster`` returned.
        cluster_file: Where it came from; relative paths and the state directory start at its folder.

    Raises:
        ConfigError: A secret cannot be read.
        UnknownReleaseError: The catalogue does not have the release.
    """
    releases = {arch: _release(config, arch) for arch in dict.fromkeys(host.arch for host in config.hosts)}
    stacked = not any("etcd" in host.roles for host in config.hosts)
    base = cluster_file.resolve().parent
    known_hosts = State.beside(cluster_file, config.name).known_hosts
    hosts = tuple(
        HostPlan(
            name=host.name,
            address=host.address,
            private_address=host.private_address or IPv4Address(host.address),
            roles=_roles(host, stacked=stacked),
            arch=host.arch,
            ssh=_ssh_target(host, config.ssh, base, known_hosts),
            labels=dict(host.labels),
            taints=_taints(host),
        )
        for host in config.hosts
    )
    first_master = next(host for host in hosts if host.is_master)
    own = str(config.api.virtual_ip or bracketed(first_master.address))
    service_ip = config.network.service_cidr[1]
    external = config.api.endpoint and _with_port(config.api.endpoint)
    return ClusterPlan(
        config=config,
        releases=releases,
        hosts=hosts,
        api_endpoint=external or f"{own}:{config.api.port}",
        node_api_endpoint=external or f"127.0.0.1:{config.api.port}",
        kubernetes_service_ip=service_ip,
        dns_service_ip=config.network.service_cidr[DNS_ADDRESS_INDEX],
        api_sans=_api_sans(config, service_ip, external),
        bundle=local_path(config.artifacts.bundle, base) if config.artifacts.bundle else None,
        authentication=local_path(config.api.authentication, base) if config.api.authentication else None,
        registries=plan_registries(config.runtime.registries, base),
        local_registry=plan_local_registry(config.registry, config.hosts),
    )


def _release(config: Cluster, arch: str) -> Release:
    runtime = config.runtime
    version, own = config.kubernetes.version, config.own_releases
    return release(version, arch, runtime.name, own, source=runtime.source)


def _roles(host: Host, *, stacked: bool) -> frozenset[str]:
    roles = frozenset(host.roles)
    return roles | {"etcd"} if stacked and "master" in roles else roles


def _taints(host: Host) -> tuple[Taint, ...]:
    if host.taints is not None:
        return tuple(host.taints)
    if "master" in host.roles and "worker" not in host.roles:
        return (Taint(key=CONTROL_PLANE, effect="NoSchedule"),)
    return ()


def _ssh_target(host: Host, cluster: SSH, base: Path, known_hosts: Path) -> SSHTarget:
    """Merge SSH settings: the host's win over the cluster's, also where they say null."""
    merged = cluster.model_copy(update={name: getattr(host.ssh, name) for name in host.ssh.model_fields_set})
    user = merged.user or "root"
    bastion = merged.bastion
    return SSHTarget(
        host=host.name,
        address=host.address,
        port=merged.port or 22,
        user=user,
        key=local_path(merged.key, base) if merged.key else None,
        bastion=BastionTarget(bastion.address, bastion.port, bastion.user or user) if bastion else None,
        sudo=merged.sudo if merged.sudo is not None else user != "root",
        sudo_password=resolve_secret(merged.sudo_password, base) if merged.sudo_password else None,
        known_hosts=known_hosts,
    )


def _api_sans(config: Cluster, service_ip: IPv4Address, external: str | None) -> tuple[str, ...]:
    names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{config.network.dns_domain}",
        "localhost",
        str(service_ip),
        "127.0.0.1",
        *([external.rpartition(":")[0]] if external else []),
        *([str(config.api.virtual_ip)] if config.api.virtual_ip else []),
        *config.api.extra_sans,
    ]
    return tuple(dict.fromkeys(names))


def _with_port(endpoint: str) -> str:
    """HOST:PORT from HOST or HOST:PORT."""
    return endpoint if ":" in endpoint else f"{endpoint}:{DEFAULT_ENDPOINT_PORT}"


def bracketed(address: str) -> str:
    """An address as it stands in HOST:PORT: IPv6 in brackets."""
    try:
        return f"[{address}]" if isinstance(ip_address(address), IPv6Address) else address
    except ValueError:
        return address

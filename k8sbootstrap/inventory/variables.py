"""What the templates of the inventory are given: of the whole cluster, and of one host."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from k8sbootstrap.catalog.distributions import held_units, host_platforms, selinux_booleans
from k8sbootstrap.inventory.files import copied
from k8sbootstrap.plan.firewall import firewall
from k8sbootstrap.plan.made_with import made_with
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.plan.phases import RETIRABLE, runs_on
from k8sbootstrap.plan.registries import RegistryPlan, with_local
from k8sbootstrap.state import State


def shared_variables(plan: ClusterPlan, state: State, stored: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is the same for all hosts; ``stored`` are the images in the cluster's own registry."""
    release, config = plan.release, plan.config
    registries = plan.registries
    if plan.local_registry:
        refs = [image["ref"] for image in stored]
        registries = with_local(registries, plan.local_registry, refs, state.pki / "ca.crt")
    args = {component: dict(flags) for component, flags in config.kubernetes.extra_args.items()}
    return {
        "pki": str(state.pki),
        "known_hosts": str(state.known_hosts),
        "masters": {host.name: str(host.private_address) for host in plan.masters},
        "etcd_members": {host.name: str(host.private_address) for host in plan.etcd_members},
        "nodes": {host.name: _node(plan, host) for host in plan.nodes},
        "addresses": {node.name: str(node.address) for node in plan.unplanned_nodes}
        | {host.name: str(host.private_address) for host in plan.nodes},
        "release_flags": {name: dict(flags) for name, flags in release.minor.flags.items()},
        "runtime_flags": dict(release.minor.runtime_flags.get(config.runtime.name, {})),
        "release_config": {
            **release.minor.kubelet_config,
            **release.minor.runtime_kubelet_config.get(config.runtime.name, {}),
        },
        "scheduler_config": dict(release.minor.scheduler_config),
        "extra_args": args,
        "extra_config": {name: dict(fields) for name, fields in config.kubernetes.extra_config.items()},
        "proxy": copied(state.proxy) if state.proxy.exists() else {},
        "registries": [_registry(registry) for registry in registries],
        "registry_images": stored,
        "logins": copied(state.registry_logins) if state.registry_logins.exists() else {},
        "docker": config.runtime.docker.model_dump(),
        "addons": _addons(state),
    }


def host_variables(plan: ClusterPlan, host: HostPlan) -> dict[str, Any]:
    """What is a host's own."""
    purposes = plan.package_purposes(host)
    return {
        "made_with": made_with(plan, host),
        "platforms": host_platforms(purposes),
        "hold_units": held_units(purposes),
        "retired": [
            role
            for role in RETIRABLE
            if not runs_on(role, plan, host) and not (host.is_master and role == "api_loadbalancer")
        ],
        "selinux_booleans": selinux_booleans(purposes),
        "firewall": firewall(plan, host),
        "api_server": f"https://{plan.api_of(host)}",
        "proxy_kubeconfig": "kube-proxy.conf" if host.is_master else "kube-proxy-worker.conf",
        "taints": [taint.model_dump(exclude_defaults=True) for taint in host.taints],
    }


def _registry(registry: RegistryPlan) -> dict[str, Any]:
    return {
        "host": registry.host,
        "server": registry.server,
        "ca": copied(registry.ca) if registry.ca else None,
        "mirrors": [asdict(mirror) for mirror in registry.mirrors],
    }


def _node(plan: ClusterPlan, host: HostPlan) -> dict[str, Any]:
    labels = dict(host.labels)
    if host.is_master:
        labels.update(dict.fromkeys(plan.release.minor.control_plane_labels, ""))
    if host.is_master and "worker" not in host.roles:
        labels["node.kubernetes.io/exclude-from-external-load-balancers"] = ""
    taints = [taint.model_dump() for taint in host.taints]
    return {"labels": labels, "taints": taints}


def _addons(state: State) -> dict[str, str]:
    """The file of objects to apply, if it has been written."""
    try:
        content = state.addons.read_bytes()
    except FileNotFoundError:
        return {}
    return {"path": str(state.addons), "sha256": hashlib.sha256(content).hexdigest()}

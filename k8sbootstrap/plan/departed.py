"""Hosts that were taken out of cluster.yaml, but not out of the cluster, as the state directory has them."""

from collections.abc import Collection, Mapping
from pathlib import Path

from k8sbootstrap.config.past_hosts import PastHost, remembered
from k8sbootstrap.errors import StateError
from k8sbootstrap.plan.build import build_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State


def departed(plan: ClusterPlan, cluster_file: Path) -> Mapping[str, PastHost]:
    """Hosts that the cluster has had, and that cluster.yaml does not name any more, by name.

    Args:
        plan: The cluster as cluster.yaml says.
        cluster_file: cluster.yaml; the state directory is beside it.

    Raises:
        StateError: The state directory can't be read.
    """
    named = {host.name for host in plan.hosts}
    past = remembered(State.beside(cluster_file, plan.config.name))
    return {name: each for name, each in past.items() if name not in named}


def with_departed(plan: ClusterPlan, cluster_file: Path, names: Collection[str]) -> ClusterPlan:
    """The plan with those of the named hosts that were taken out of cluster.yaml.

    Args:
        plan: The cluster as cluster.yaml says.
        cluster_file: cluster.yaml.
        names: Any names; those of hosts that cluster.yaml has, and unknown ones, change nothing.

    Raises:
        StateError: Another host has the address of one of them now, so that it can't be reached.
    """
    back = [each for name, each in departed(plan, cluster_file).items() if name in names]
    if not back:
        return plan
    for each in back:
        name = each.host.name
        for host in plan.hosts:
            if each.host.cluster_address == host.private_address or each.host.address == host.address:
                raise StateError(
                    f"{name} can't be reached any more: {host.name} in cluster.yaml has its address now",
                    hint=f"Give {host.name} another address. Or, if {host.name} took the place of {name}, "
                    f"which is dead: k8sbootstrap kubectl delete node {name}.",
                )
    separate = any("etcd" in host.roles for host in plan.config.hosts)
    hosts = [
        each.host.model_copy(update={"roles": [*dict.fromkeys([*each.host.roles, "etcd"])]})
        if separate and each.is_etcd
        else each.host
        for each in back
    ]
    config = plan.config.model_copy(update={"hosts": [*plan.config.hosts, *hosts]})
    return build_plan(config, cluster_file)

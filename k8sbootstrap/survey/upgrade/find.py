"""Finds the upgrade in what is to do, by comparing it with what runs."""

from collections.abc import Collection

from k8sbootstrap.catalog.data import numbers
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.plan.phases import NODE_ROLES
from k8sbootstrap.survey.todo import Survey
from k8sbootstrap.survey.upgrade.models import PendingUpgrade
from k8sbootstrap.survey.upgrade.observe import Running

_VERSIONED = ("etcd", "kube_apiserver", "kube_controller_manager", "kube_scheduler", *NODE_ROLES)


def may_be_upgrade(todo: Survey) -> bool:
    """Whether what is to do may be an upgrade, or part of one. Only then versions have to be looked at."""
    return todo.exists and any(
        {"configuration", "upgrade"} & set(work.causes)
        for roles in todo.work.values()
        for role, work in roles.items()
        if role in _VERSIONED
    )


def find_upgrade(
    plan: ClusterPlan, running: Running, todo: Survey, ignored: Collection[str]
) -> PendingUpgrade | None:
    """The upgrade in what is to do, if there is one.

    Args:
        plan: The cluster.
        running: What it runs.
        todo: What is to do.
        ignored: Names of checks that were told to be ignored.
    """
    target, etcd = plan.release.version, plan.release.binaries["etcd"].version
    versions = running.versions()
    others = {
        running_there
        for hosts in versions.values()
        for host, running_there in hosts.items()
        if host in todo.work and running_there != target
    }
    kubelets = versions.get("kubelet", {})
    nodes = [
        host
        for host in plan.nodes
        if "upgrade" in _causes(todo, host.name)
        or (
            set(NODE_ROLES) & todo.work.get(host.name, {}).keys()
            and kubelets.get(host.name, target) != target
        )
    ]
    etcd_others = {
        version for host, version in running.etcd().items() if host in todo.hosts("etcd") and version != etcd
    }
    if not (others or etcd_others or nodes):
        return None
    return PendingUpgrade(
        version=target,
        before=tuple(sorted(others, key=numbers)),
        etcd=etcd,
        etcd_before=tuple(sorted(etcd_others, key=numbers)),
        api_servers=tuple(
            host
            for host in todo.hosts("kube_apiserver")
            if versions.get("kube-apiserver", {}).get(host, target) != target
        ),
        masters=tuple(host.name for host in nodes if host.is_master),
        workers=tuple(host.name for host in nodes if not host.is_master),
        max_unavailable=plan.config.upgrade.max_unavailable,
        bare_pods="upgrade-bare-pods" in ignored,
    )


def _causes(todo: Survey, host: str) -> tuple[str, ...]:
    kubelet = todo.work.get(host, {}).get("kubelet")
    return kubelet.causes if kubelet else ()

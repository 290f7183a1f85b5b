"""Is there anything of another cluster on the host?"""

from pathlib import PurePosixPath

from k8sbootstrap.checks.framework import Verdict, failed, passed, warning
from k8sbootstrap.checks.hosts.base import HostCase

_SHOWN = 4
_CNI = "/etc/cni/net.d/"
_CNI_ENDINGS = (".conf", ".conflist", ".json")
"""What a container runtime reads; it takes the first file by name."""
_OWN_CNI = {
    "routed": "10-k8sbootstrap.conflist",
    "flannel": "10-flannel.conflist",
    "calico": "10-calico.conflist",
    "cilium": "05-cilium.conflist",
}
_PACKAGES = {
    "87-podman": "podman",
    "100-crio": "CRI-O",
    "11-crio": "CRI-O",
    "01-crio": "CRI-O",
    "200-loopback": "CRI-O",
    "nerdctl-": "nerdctl",
}
"""How names of files begin that packages bring along, and whose they are."""


def leftovers(case: HostCase) -> Verdict:
    """Nothing is left of another cluster: no configuration, etcd data, kubelet data or CNI configuration.

    CNI configuration of other programs may stay where container runtimes take the cluster's before it.

    Fix: Run `k8sbootstrap reset` with the cluster.yaml of the other cluster, or remove it with the tool that
    made it (`kubeadm reset`). Or use another host.
    """
    facts, name = case.facts, case.plan.config.name
    if facts.cluster and not case.ours:
        return failed(
            f"the host belongs to the cluster {facts.cluster}",
            f"First reset it with the cluster.yaml of {facts.cluster}, or use another host.",
        )
    in_cluster = case.ours and case.plan.config.network.plugin != "routed"  # its pods write these files
    foreign = [
        path
        for path in facts.leftovers
        if not _recorded(path, facts.recorded) and not (in_cluster and path.startswith(_CNI))
    ]
    if not foreign:
        return passed(f"only what belongs to {name}" if facts.leftovers else "none")
    if case.ours:  # a run that was killed may not have got round to recording its last files
        return warning(
            f"these files are not in k8sbootstrap's record: {_listed(foreign)}",
            "Check whether they are needed.",
        )
    return _judge(foreign, _OWN_CNI.get(case.plan.config.network.plugin, ""))


def _judge(foreign: list[str], own: str) -> Verdict:
    """Judge files of others; ``own`` is the name of the cluster's CNI configuration, empty where unknown."""
    stays = [path for path in foreign if _may_stay(path, own)]
    first = [path for path in foreign if path.startswith(_CNI) and _owner(path) and path not in stays]
    if first == foreign:
        return failed(
            f"container runtimes would use {_listed(first)} for pods, not the cluster's {own}",
            "Move it away, or rename it so that its name begins with 90- and it comes later.",
        )
    others = [path for path in foreign if path not in stays]
    if others:
        return failed(
            f"the host has files of another cluster: {_listed(others)}",
            "Remove that cluster with the tool that made it (kubeadm reset, ...), or move these files away.",
        )
    if not own:
        return warning(
            f"{_listed(stays)} is kept", "Give the file of your pod network a name that comes before it."
        )
    return warning(f"{_listed(stays)} is kept: container runtimes use {own}, which comes before it")


def _may_stay(path: str, own: str) -> bool:
    """Whether this is CNI configuration of another program, and container runtimes take the cluster's own."""
    if not path.startswith(_CNI) or not path.endswith(_CNI_ENDINGS):
        return False
    return PurePosixPath(path).name > own if own else bool(_owner(path))


def _listed(paths: list[str]) -> str:
    return ", ".join(map(_described, paths[:_SHOWN])) + (" and more" if len(paths) > _SHOWN else "")


def _described(path: str) -> str:
    owner = _owner(path)
    return f"{path} (of {owner})" if owner else path


def _owner(path: str) -> str:
    """The program whose packages bring a file of that name; empty where that is not known."""
    name = PurePosixPath(path).name
    return next((owner for start, owner in _PACKAGES.items() if name.startswith(start)), "")


def _recorded(path: str, recorded: frozenset[str]) -> bool:
    return any(path == own or path.startswith(f"{own}/") or own.startswith(f"{path}/") for own in recorded)

"""cluster.yaml for the lab's hosts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import yaml

from k8sbootstrap.artifacts.sources.base import SUMS, hash_of_list
from k8sbootstrap.errors import LabError
from k8sbootstrap.lab.root_image import USER

CLUSTER_NAME = "lab"
_HEADER = '# Written by "k8sbootstrap lab up" for the lab\'s hosts; "lab up" writes it again.\n'


_FOR_EMULATION = {
    "extraArgs": {
        "kube-controller-manager": {
            "leader-elect-lease-duration": "120s",
            "leader-elect-renew-deadline": "90s",
            "leader-elect-retry-period": "10s",
            "node-monitor-grace-period": "300s",
        }
    },
    "extraConfig": {
        "kube-scheduler": {
            "leaderElection": {"leaseDuration": "120s", "renewDeadline": "90s", "retryPeriod": "10s"}
        },
        "kubelet": {"nodeLeaseDurationSeconds": 240},
    },
}
"""An API server that takes more than 5 s to answer would make leaders give up and start again."""


@dataclass(frozen=True)
class ListedHost:
    """A host of the lab, as cluster.yaml gets it."""

    name: str
    address: str
    roles: tuple[str, ...]


def write(
    path: Path,
    hosts: list[ListedHost],
    *,
    version: str,
    runtime: str,
    runtime_source: str = "distribution",
    releases: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    sources: list[Path],
    key: Path,
    dns: bool,
    containers: bool,
    emulated: bool,
    cgroup_v1: bool,
    sealed: bool = False,
) -> bool:
    """Write cluster.yaml, unless it says the same already.

    Args:
        path: The file.
        hosts: The lab's hosts.
        version: Kubernetes release.
        runtime: docker or containerd.
        runtime_source: distribution or upstream: where the runtime comes from.
        releases: Versions that differ from the catalogue's, by release.
        sources: Artifact directories, first asked first.
        key: Private SSH key.
        dns: Whether the image of the cluster's DNS can be had.
        emulated: Whether the hosts are virtual machines without KVM, which are slow.
        containers: Whether the hosts are containers, which share this machine's kernel and disk.
        cgroup_v1: Whether this machine, and so its containers, has cgroup v1.
        sealed: Whether the hosts reach no name server.

    Returns:
        Whether the file was written.

    Raises:
        LabError: somebody else's file is there.
    """
    content: dict[str, object] = {
        "apiVersion": "k8sbootstrap/v1alpha1",
        "kind": "Cluster",
        "name": CLUSTER_NAME,
        "kubernetes": {"version": version}
        | ({"extraConfig": _for_containers(cgroup_v1=cgroup_v1)} if containers else {})
        | (_FOR_EMULATION if emulated else {}),
        "runtime": {"name": runtime}
        | ({} if runtime_source == "distribution" else {"source": runtime_source}),
        "ssh": {"user": USER, "key": str(key.relative_to(path.resolve().parent))},
        "hosts": [{"name": host.name, "address": host.address, "roles": list(host.roles)} for host in hosts],
        "artifacts": {"sources": [_source(source) for source in sources]},
    }
    if releases:
        content["releases"] = {version: dict(own) for version, own in releases.items()}
    if not dns:
        content["dns"] = {"name": "none"}
    elif sealed:
        content["dns"] = {"upstream": []}
    text = _HEADER + yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=110)
    if path.exists():
        there = path.read_text()
        if there == text:
            return False
        if not there.startswith(_HEADER):
            raise LabError(
                f"{path} exists and was not written by a lab; it was not changed",
                hint="Start the lab in an empty directory, or name another file with --file.",
            )
    path.write_text(text)
    return True


def _for_containers(*, cgroup_v1: bool) -> dict[str, object]:
    """Containers may not change the machine's connection tracking limits.

    They share its disk, which may be rather full: that must not drive pods and images away.
    """
    kubelet: dict[str, object] = {
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "100Mi"},
        "imageGCHighThresholdPercent": 100,
    }
    if cgroup_v1:
        kubelet["failCgroupV1"] = False
    return {"kube-proxy": {"conntrack": {"maxPerCore": 0}}, "kubelet": kubelet}


def _source(directory: Path) -> dict[str, str]:
    """An artifact directory; the builds of one with a list are the lab's or the user's own."""
    try:
        own = {"ownBuilds": hash_of_list((directory / SUMS).read_bytes())}
    except FileNotFoundError:
        own = {}
    return {"directory": str(directory), **own}

"""The clusters that end-to-end tests install, one for each file: docs/support.md has this table."""

from __future__ import annotations

from dataclasses import dataclass

from k8sbootstrap.catalog.data import minor_of
from k8sbootstrap.catalog.resolve import default_version, versions

NEWEST = default_version()
BEFORE = next(version for version in versions() if minor_of(version) != minor_of(NEWEST))
"""The newest release of the minor before the newest."""


@dataclass(frozen=True)
class LabCluster:
    """Hosts, what is installed on them, and what that is to show."""

    shows: str
    """What the tests do, for the documentation."""
    masters: int = 1
    workers: int = 1
    system: str = "debian12"
    runtime: str = "docker"
    """docker, containerd, or upstream: containerd and runc of their own projects."""
    version: str = NEWEST
    upgrade_to: str = ""
    sealed: bool = False
    kube_bench: bool = False
    """Whether the files for ``verify --cis`` are made ready."""

    @property
    def options(self) -> list[str]:
        """Options of ``lab up``."""
        given = ["--masters", str(self.masters), "--workers", str(self.workers), "--os", self.system]
        given += ["--runtime", "docker" if self.runtime == "docker" else "containerd"]
        given += ["--runtime-source", "upstream"] if self.runtime == "upstream" else []
        given += ["--kubernetes-version", self.version]
        given += ["--upgrade-to", self.upgrade_to] if self.upgrade_to else []
        given += ["--kube-bench"] if self.kube_bench else []
        return [*given, "--sealed"] if self.sealed else given


BUNDLE = LabCluster("`up --bundle` without a network, the cluster's own registry, `reset`", sealed=True)
THREE_MASTERS = LabCluster(
    "`up`, `verify`, `plan` of drift, lost hosts, an upgrade that is killed in the middle, `reset`, a mirror",
    masters=3,
    workers=2,
    system="debian13",
    runtime="containerd",
    version=BEFORE,
    upgrade_to=NEWEST,
)
EDITS = LabCluster(
    "edits of cluster.yaml and accidents that would break the cluster are refused", masters=3, workers=2
)
UPGRADE = LabCluster(
    "an upgrade that a PodDisruptionBudget holds up", masters=3, workers=2, version=BEFORE, upgrade_to=NEWEST
)
OWNED_HOSTS = LabCluster("hosts with docker, containers, settings and disks of their owner")
RELEASE = LabCluster(
    "`up`, `verify`, `verify --cis`, kube-proxy with iptables and nftables, `reset`",
    runtime="upstream",
    kube_bench=True,
)
SECRETS = LabCluster("a private registry, proxies, secrets in no log; also with containerd")
SMALL = LabCluster(
    "bad input, playbooks alone, `up` killed in every phase, addons, images from a registry, `reset`",
    system="debian13",
)
ALL = (BUNDLE, THREE_MASTERS, EDITS, UPGRADE, OWNED_HOSTS, RELEASE, SECRETS, SMALL)

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
    etcd: int = 0
    """Hosts of etcd's own."""
    system: str = "debian12"
    runtime: str = "docker"
    """docker, containerd, or upstream: containerd and runc of their own projects."""
    version: str = NEWEST
    upgrade_to: str = ""
    sealed: bool = False
    kube_bench: bool = False
    """Whether the files for ``verify --cis`` are made ready."""
    conformance: bool = False
    """Whether the files for ``verify --conformance`` are made ready."""

    @property
    def options(self) -> list[str]:
        """Options of ``lab up``."""
        given = ["--masters", str(self.masters), "--workers", str(self.workers), "--os", self.system]
        given += ["--etcd", str(self.etcd)] if self.etcd else []
        given += ["--runtime", "docker" if self.runtime == "docker" else "containerd"]
        given += ["--runtime-source", "upstream"] if self.runtime == "upstream" else []
        given += ["--kubernetes-version", self.version]
        given += ["--upgrade-to", self.upgrade_to] if self.upgrade_to else []
        given += ["--kube-bench"] if self.kube_bench else []
        given += ["--conformance"] if self.conformance else []
        return [*given, "--sealed"] if self.sealed else given


BUNDLE = LabCluster("`up --bundle` without a network, the cluster's own registry, `reset`", sealed=True)
THREE_MASTERS = LabCluster(
    "`up`, `verify`, `plan` of drift, lost hosts, `doctor`, `support`, etcd restored from a snapshot and "
    "from a survivor, an upgrade that is killed in the middle, `reset`, a mirror",
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
    "`up`, `verify`, `verify --cis`, a part of [Conformance](conformance.md), kube-proxy with iptables and "
    "nftables, `reset`",
    workers=2,
    runtime="upstream",
    kube_bench=True,
    conformance=True,
)
SECRETS = LabCluster("a private registry, proxies, secrets in no log; also with containerd")
SMALL = LabCluster(
    "bad input, playbooks alone, `up` killed in every phase, addons, images from a registry, `reset`, a "
    "backup restored on other hosts",
    system="debian13",
)
VIRTUAL_MACHINES = LabCluster(
    "cgroup v2, modules, sysctls and connection limits of the hosts' own kernels, reboots, kube-proxy with "
    "nftables, `reset`",
    system="debian13",
    runtime="containerd",
)
"""Not one of CI's: make e2e-vm."""
FAULTS = LabCluster(
    "hosts, disks, networks and commands that fail while clients write",
    masters=3,
    workers=2,
    system="debian13",
    runtime="containerd",
    version=BEFORE,
    upgrade_to=NEWEST,
)
"""Not one of CI's: make e2e-faults."""
ACCIDENTS = LabCluster(
    "first runs that are killed, members and hosts that are lost, CAs replaced", masters=3, workers=2
)
"""Not one of CI's: make e2e-accidents."""
BUCKET = LabCluster("snapshots of etcd in a bucket, and a cluster restored from there")
"""Not one of CI's: make e2e-s3."""
ETCD_HOSTS = LabCluster(
    "etcd on hosts of its own: members come and go, it gets full, and it is rebuilt",
    etcd=5,
    system="debian13",
    runtime="containerd",
)
"""Not one of CI's: make e2e-faults."""
ALL = (BUNDLE, THREE_MASTERS, EDITS, UPGRADE, OWNED_HOSTS, RELEASE, SECRETS, SMALL)

"""A cluster for tests of inventories, and what is made ready for it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8sbootstrap.inventory.build import build_inventory
from k8sbootstrap.inventory.model import Inventory, Sections
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State

PASSWORD = "correct horse battery staple"
CLUSTER = """\
apiVersion: k8sbootstrap/v1alpha1
kind: Cluster
name: demo
kubernetes: {version: 1.36.4}
ssh: {user: admin, key: keys/id, sudoPassword: {env: TEST_SUDO_PASSWORD}}
hosts:
  - {name: master1, address: 192.0.2.11, privateAddress: 10.0.0.11, roles: [master]}
  - {name: master2, address: 192.0.2.12, privateAddress: 10.0.0.12, roles: [master]}
  - {name: master3, address: 192.0.2.13, privateAddress: 10.0.0.13, roles: [master, worker]}
  - name: worker1
    address: 192.0.2.21
    privateAddress: 10.0.0.21
    roles: [worker]
    labels: {disk: ssd, "example.com/yes": "true"}
    taints: [{key: example.com/dedicated, value: batch, effect: NoSchedule}]
  - name: worker2
    address: worker2.example.com
    privateAddress: 10.0.0.22
    roles: [worker]
    ssh: {port: 2222, bastion: {address: bastion.example.com}}
"""


@dataclass(frozen=True)
class Fetched:
    """A file that was fetched."""

    path: Path
    sha256: str
    url: str | None


def fetched(plan: ClusterPlan, *, images: bool = True) -> dict[str, Fetched]:
    """Made-up files; a mirror serves etcd's."""
    files = []
    for release in plan.releases.values():
        files += [*release.binaries.values(), *release.cni_plugins.values(), release.crictl]
        files += [release.pause.artifact] if images else []
    return {
        file.key: Fetched(
            Path("/cache") / file.key,
            hashlib.sha256(file.key.encode()).hexdigest(),
            f"http://mirror.example.com/{file.key}" if file.name == "etcd" else None,
        )
        for file in files
    }


def state_of(plan: ClusterPlan, folder: Path) -> State:
    """The state of a cluster whose file is in a folder."""
    return State.beside(folder / "cluster.yaml", plan.config.name)


def built(
    plan: ClusterPlan, folder: Path, artifacts: Mapping[str, Fetched] | None = None, **more: Any
) -> Inventory:
    """The inventory of a cluster whose file is in a folder."""
    state = state_of(plan, folder)
    if plan.local_registry:
        ensure_pki(plan, state)
    return build_inventory(plan, state, artifacts or fetched(plan), **more)


def flat(sections: Sections) -> dict[str, Any]:
    """The variables of all sections."""
    return {name: value for variables in sections.values() for name, value in variables.items()}

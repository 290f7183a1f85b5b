"""The benchmark with controls of a few lines, and what a real kube-bench 0.15.6 said on three hosts."""

import json
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.checks.cis.run import KubeBench
from k8sbootstrap.config.load import load_cluster
from k8sbootstrap.plan.build import build_plan
from k8sbootstrap.plan.models import ClusterPlan
from tests.cluster_yaml import cluster_yaml

RECORDED = json.loads((Path(__file__).parent / "recorded" / "answers.json").read_text())
"""Host to its answer: a master, a worker, and a host that runs etcd alone."""
TARGETS = {"1": "master", "2": "etcd", "3": "controlplane", "4": "node", "5": "policies"}
OF_ETCD = ("1.1.7", "1.1.8", "1.1.11", "1.1.12")


def controls_of(target: str) -> str:
    """A file of kube-bench with all its controls, but without their texts, commands and tests."""
    told = [each for host in RECORDED.values() for run in host["runs"] for each in run["controls"]]
    ids = dict.fromkeys(each["id"] for each in told if TARGETS[each["id"][0]] == target)
    checks = "".join(
        f"      - id: {name}\n        text: Control {name}\n"
        + (f"        audit: stat $etcdconf {name}\n" if name in OF_ETCD else "")
        for name in ids
    )
    return f'version: "cis-1.12"\ntype: {target}\ngroups:\n  - id: 9.9\n    checks:\n{checks}'


@pytest.fixture
def kube_bench(tmp_path: Path) -> KubeBench:
    files = {}
    for target in TARGETS.values():
        files[f"{target}.yaml"] = tmp_path / f"{target}.yaml"
        files[f"{target}.yaml"].write_text(controls_of(target))
    program = tmp_path / "kube-bench"
    program.write_bytes(b"a program")
    return KubeBench(program, files)


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    return make_plan(tmp_path, "master1", "worker1", "etcd1")


def make_plan(folder: Path, *hosts: str) -> ClusterPlan:
    file = folder / "cluster.yaml"
    file.write_text(cluster_yaml(*hosts))
    return build_plan(load_cluster(file), file)


@pytest.fixture
def answers() -> dict[str, Any]:
    """What the hosts say; tests may change it."""
    return json.loads(json.dumps(RECORDED))

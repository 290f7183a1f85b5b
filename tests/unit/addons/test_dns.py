"""CoreDNS as the cluster's DNS."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from k8sbootstrap.addons.dns import dns_objects, replicas
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan

GOLDEN = Path(__file__).parent / "golden"


def plan(folder: Path, *, version: str = "1.36.3", workers: int = 1, more: str = "") -> ClusterPlan:
    hosts = "".join(
        f"  - {{name: w{i}, address: 10.0.{i // 200}.{i % 200 + 20}, roles: [worker]}}\n"
        for i in range(workers)
    )
    file = folder / "cluster.yaml"
    file.write_text(
        "apiVersion: k8sbootstrap/v1alpha1\nkind: Cluster\nname: demo\n"
        f"kubernetes: {{version: {version}}}\n{more}hosts:\n"
        f"  - {{name: m1, address: 10.0.0.11, roles: [master]}}\n{hosts}"
    )
    return load_plan(file)


def by_kind(found: ClusterPlan) -> dict[str, dict]:
    return {each.object["kind"]: each.object for each in dns_objects(found)}


@pytest.mark.parametrize("version", ["1.36.3", "1.20.2"])
def test_golden(tmp_path: Path, golden: Callable[[Path, str], None], version: str) -> None:
    objects = [each.object for each in dns_objects(plan(tmp_path, version=version))]
    golden(GOLDEN / f"coredns-{version}.yaml", yaml.safe_dump_all(objects, explicit_start=True))


@pytest.mark.parametrize(
    ("workers", "wanted"), [(0, 1), (1, 2), (2, 2), (31, 2), (32, 3), (47, 3), (48, 4), (199, 13)]
)
def test_replicas_grow_with_the_cluster(tmp_path: Path, workers: int, wanted: int) -> None:
    found = plan(tmp_path, workers=workers)
    assert replicas(found) == wanted
    assert by_kind(found)["Deployment"]["spec"]["replicas"] == wanted


def test_what_cluster_yaml_says(tmp_path: Path) -> None:
    more = "dns: {replicas: 5, upstream: [192.0.2.1, 192.0.2.2:5353]}\nnetwork: {dnsDomain: k8s.example}\n"
    found = by_kind(plan(tmp_path, more=more))
    assert found["Deployment"]["spec"]["replicas"] == 5
    corefile = found["ConfigMap"]["data"]["Corefile"]
    assert "forward . 192.0.2.1 192.0.2.2:5353 {" in corefile
    assert "kubernetes k8s.example in-addr.arpa" in corefile


def test_nothing_is_forwarded_to_no_server(tmp_path: Path) -> None:
    assert (
        "forward"
        not in by_kind(plan(tmp_path, more="dns: {upstream: []}\n"))["ConfigMap"]["data"]["Corefile"]
    )


def test_none(tmp_path: Path) -> None:
    found = plan(tmp_path, more="dns: {name: none}\n")
    assert dns_objects(found) == []
    assert [image.artifact.name for image in found.images("amd64")] == ["pause", "busybox"]

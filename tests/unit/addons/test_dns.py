"""CoreDNS as the cluster's DNS."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from k8sbootstrap.addons.dns import dns_objects, replicas
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from tests.cluster_yaml import cluster_yaml

GOLDEN = Path(__file__).parent / "golden"


def plan(folder: Path, *, version: str = "1.36.3", workers: int = 1, more: str = "") -> ClusterPlan:
    hosts = (f"name: w{i}, address: 10.0.{i // 200}.{i % 200 + 20}, roles: [worker]" for i in range(workers))
    file = folder / "cluster.yaml"
    file.write_text(cluster_yaml("m1", *hosts, version=version) + more)
    return load_plan(file)


def by_kind(found: ClusterPlan) -> dict[str, dict]:
    return {each.object["kind"]: each.object for each in dns_objects(found)}


def test_golden(tmp_path: Path, golden: Callable[[Path, str], None]) -> None:
    objects = [each.object for each in dns_objects(plan(tmp_path, version="1.36.3"))]
    golden(GOLDEN / "coredns.yaml", yaml.safe_dump_all(objects, explicit_start=True))


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


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_nodes_with_a_cache(tmp_path: Path, golden: Callable[[Path, str], None], mode: str) -> None:
    """With iptables pods go on to ask the Service's address, which the cache answers at too."""
    more = f"dns: {{nodeLocalCache: true}}\nnetwork: {{kubeProxyMode: {mode}}}\n"
    found = plan(tmp_path, more=more)
    assert str(found.pod_dns) == {"iptables": "10.96.0.10", "nftables": "169.254.20.10"}[mode]
    objects = [each.object for each in dns_objects(found) if each.source == "the nodes' DNS cache"]
    golden(GOLDEN / f"node-local-dns-{mode}.yaml", yaml.safe_dump_all(objects, explicit_start=True))
    names = [image.artifact.name for image in found.images("amd64")]
    assert names == ["pause", "coredns", "dns-node-cache", "busybox"]


def test_a_cache_asks_the_servers_that_coredns_would_ask(tmp_path: Path) -> None:
    def corefile(upstream: str) -> str:
        found = dns_objects(plan(tmp_path, more=f"dns: {{nodeLocalCache: true, upstream: {upstream}}}\n"))
        return next(
            each.object["data"]["Corefile.base"]
            for each in found
            if each.title.endswith("/node-local-dns") and each.object["kind"] == "ConfigMap"
        )

    assert "forward . 192.0.2.1 192.0.2.2:5353\n" in corefile('[192.0.2.1, "192.0.2.2:5353"]')
    assert corefile("[]").count("forward . __PILLAR__CLUSTER__DNS__ {") == 4


def test_autoscaling(tmp_path: Path, golden: Callable[[Path, str], None]) -> None:
    """The autoscaler alone says how many pods there are."""
    found = plan(tmp_path, more="dns: {autoscale: {nodesPerReplica: 8, max: 20}}\n")
    by_name = {each.title: each.object for each in dns_objects(found)}
    assert "replicas" not in by_name["Deployment/kube-system/coredns"]["spec"]
    objects = [each.object for each in dns_objects(found) if each.source == "CoreDNS's autoscaler"]
    golden(GOLDEN / "coredns-autoscaler.yaml", yaml.safe_dump_all(objects, explicit_start=True))
    linear = json.loads(by_name["ConfigMap/kube-system/coredns-autoscaler"]["data"]["linear"])
    assert linear == {
        "nodesPerReplica": 8,
        "coresPerReplica": 256,
        "min": 1,
        "max": 20,
        "preventSinglePointFailure": True,
        "includeUnschedulableNodes": True,
    }
    assert "dns-autoscaler" in [image.artifact.name for image in found.images("amd64")]


def test_none(tmp_path: Path) -> None:
    found = plan(tmp_path, more="dns: {name: none}\n")
    assert dns_objects(found) == []
    assert [image.artifact.name for image in found.images("amd64")] == ["pause", "busybox"]

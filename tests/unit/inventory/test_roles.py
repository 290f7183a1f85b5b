"""What roles are told: of settings in cluster.yaml, and of what a cluster has or hasn't."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from k8sbootstrap.artifacts.own_images import OwnImage
from k8sbootstrap.inventory.proxy import proxy_variables
from k8sbootstrap.plan.models import ClusterPlan, UnplannedNode
from tests.unit.inventory.clusters import CLUSTER, built

REGISTRIES = """\
proxy: {http: "http://proxy.example.com:3128"}
runtime:
  registries:
    - {host: docker.io, mirrors: ["https://mirror.example.com"]}
"""


def test_text_that_yaml_would_misread_stays_text(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    text = CLUSTER.replace(
        "kubernetes: {version: 1.36.4}",
        'kubernetes: {version: 1.36.4, extraArgs: {kubelet: {v: "2", event-burst: "no", x: "a: b # c"}}}',
    ).replace("disk: ssd", 'disk: "010", flag: "yes"')
    shared = built(cluster(text), tmp_path).shared
    assert shared["kubelet"]["kubelet_extra_args"] == {"v": "2", "event-burst": "no", "x": "a: b # c"}
    labels = shared["node_settings"]["node_settings_nodes"]["worker1"]["labels"]
    assert labels == {"disk": "010", "flag": "yes", "example.com/yes": "true"}


def test_no_kube_proxy_where_cilium_replaces_it(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    network = "network: {plugin: cilium, cilium: {kubeProxyReplacement: true}}\n"
    inventory = built(cluster(CLUSTER + network), tmp_path)
    assert inventory.shared["kube_proxy"]["kube_proxy_mode"] == "none"
    assert "kubelet" in inventory.digests["worker1"]
    assert "kube_proxy" not in inventory.digests["worker1"]


def test_workers_with_an_external_endpoint_keep_no_load_balancer(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    hosts = built(
        cluster(CLUSTER.replace("hosts:", "api: {endpoint: lb.example.com}\nhosts:", 1)), tmp_path
    ).hosts
    assert hosts["worker1"]["retired"]["retired_components"] == ["image_registry", "api_loadbalancer"]
    assert hosts["master1"]["retired"]["retired_components"] == ["image_registry", "api_virtual_ip"]
    hosts = built(cluster(CLUSTER.replace("hosts:", "registry: {host: worker1}\nhosts:", 1)), tmp_path).hosts
    assert "retired" not in hosts["worker1"]


def test_masters_with_a_virtual_ip(cluster: Callable[[str], ClusterPlan], tmp_path: Path) -> None:
    text = CLUSTER.replace("hosts:", "api: {virtualIP: 10.0.0.100}\nhosts:", 1)
    inventory = built(cluster(text), tmp_path)
    variables = inventory.shared["api_virtual_ip"]
    assert variables["api_virtual_ip_address"] == "10.0.0.100"
    assert list(variables["api_virtual_ip_masters"]) == ["master1", "master2", "master3"]
    assert "api_virtual_ip" in inventory.digests["master2"]
    assert "api_virtual_ip" not in inventory.digests["worker1"]
    assert inventory.hosts["master1"]["retired"]["retired_components"] == ["image_registry"]
    assert "api_virtual_ip" not in built(cluster(CLUSTER), tmp_path).shared


def test_pods_on_hosts_that_were_taken_out_stay_reachable(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    left = UnplannedNode("worker9", IPv4Address("10.0.0.29"), None)
    plan = replace(cluster(CLUSTER), unplanned_nodes=(left,))
    nodes = built(plan, tmp_path).shared["pod_network"]["pod_network_nodes"]
    assert nodes["worker9"] == "10.0.0.29"
    assert set(nodes) == {"worker9", *(host.name for host in plan.nodes)}


def test_nodes_ask_the_clusters_own_registry_first(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    own = OwnImage("registry.example.com:5000/team/app:1", "amd64", Path("/images/app.tar"), "ab" * 32)
    text = CLUSTER.replace("hosts:", f"{REGISTRIES}registry: {{host: worker1, port: 5005}}\nhosts:", 1)
    plan = cluster(text)
    inventory = built(plan, tmp_path, registry_images=[own])
    images = inventory.shared["image_registry"]["image_registry_images"]
    pause = plan.release.pause.ref.rpartition(":")[2]
    assert [(image["name"], image["tag"], image["arch"]) for image in images] == [
        ("registry.k8s.io/pause", pause, "amd64"),
        ("registry.example.com_5000/team/app", "1", "amd64"),
    ]
    registries = inventory.shared["container_runtime"]["container_runtime_registries"]
    local = "https://10.0.0.21:5005"
    found = {registry["host"]: [mirror["url"] for mirror in registry["mirrors"]] for registry in registries}
    assert found == {
        "docker.io": ["https://mirror.example.com"],
        "registry.k8s.io": [f"{local}/v2/registry.k8s.io"],
        "registry.example.com:5000": [f"{local}/v2/registry.example.com_5000"],
        "10.0.0.21:5005": [],
    }
    assert registries[-1]["ca"]["path"].endswith("/pki/ca.crt")
    assert "10.0.0.21" in proxy_variables(plan)["no_proxy"].split(",")
    assert inventory.groups["image_registry"] == ["worker1"]
    platforms = inventory.hosts["worker1"]["packages"]["packages_platforms"]
    assert any("docker-registry" in platform["packages"] for platform in platforms)
    assert platforms == [each for each in platforms if each["manager"] == "apt"]

"""cilium: what cluster.yaml says gets into the values of its chart, which helm renders."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.addons.cilium import cilium_values, merged
from k8sbootstrap.addons.objects_file import files, write_addons
from k8sbootstrap.catalog.resolve import helm
from k8sbootstrap.errors import ConfigError
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.plan.phases import runs_on
from k8sbootstrap.state import State
from tests.cluster_yaml import cluster_yaml

CLUSTER = cluster_yaml("m1", "w1", version="1.36.3")
TEMPLATE = """\
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: cilium
  namespace: {{ .Release.Namespace }}
  annotations: {values: {{ toJson .Values | quote }}}
spec:
  template:
    spec:
      containers:
"""


def plan_of(folder: Path, settings: str = "{}", more: str = "") -> ClusterPlan:
    network = f"network: {{plugin: cilium, podCIDR: 10.8.0.0/16, cilium: {settings}}}\n"
    (folder / "cluster.yaml").write_text(CLUSTER + network + more)
    return load_plan(folder / "cluster.yaml")


def chart(folder: Path, plan: ClusterPlan, *, images: int = 3) -> Path:
    """A chart with cilium's images, and the values that it was given in an annotation."""
    assert plan.pod_network
    path = folder / "chart"
    (path / "templates").mkdir(parents=True, exist_ok=True)
    (path / "Chart.yaml").write_text("apiVersion: v2\nname: cilium\nversion: 1.0.0\n")
    lines = [f"      - {{name: c, image: '{image.ref}'}}\n" for image in plan.pod_network.images[:images]]
    (path / "templates/all.yaml").write_text(TEMPLATE + "".join(lines))
    return path


def groups(folder: Path, plan: ClusterPlan, path: Path, program: Path) -> list[dict[str, Any]]:
    assert plan.pod_network
    state = State(folder / "state")
    state.create()
    fetched = {plan.pod_network.manifest.key: path, helm("amd64").key: program / helm("amd64").key}
    write_addons(plan, folder / "cluster.yaml", fetched, state)
    found: list[dict[str, Any]] = json.loads(state.addons.read_text())
    return found


def test_values(tmp_path: Path) -> None:
    values = cilium_values(plan_of(tmp_path))
    assert (values["k8sServiceHost"], values["k8sServicePort"]) == ("127.0.0.1", 6443)
    assert (values["routingMode"], values["tunnelProtocol"]) == ("tunnel", "vxlan")
    assert (values["ipam"], values["MTU"]) == ({"mode": "kubernetes"}, 0)
    assert (values["kubeProxyReplacement"], values["operator"]["replicas"]) == ("false", 2)


def test_what_cluster_yaml_says(tmp_path: Path) -> None:
    settings = (
        "{routing: native, ipam: cluster-pool, mtu: 1400, kubeProxyReplacement: true,"
        " values: {operator: {replicas: 1}, hubble: {enabled: true}, debug: {enabled: true}}}"
    )
    plan = plan_of(tmp_path, settings, "api: {endpoint: lb.example.com}\n")
    values = cilium_values(plan)
    assert (values["k8sServiceHost"], values["k8sServicePort"]) == ("lb.example.com", 6443)
    assert values["routingMode"] == "native"
    assert values["ipv4NativeRoutingCIDR"] == "10.8.0.0/16"
    assert "tunnelProtocol" not in values
    pool = {"clusterPoolIPv4PodCIDRList": ["10.8.0.0/16"], "clusterPoolIPv4MaskSize": 24}
    assert values["ipam"] == {"mode": "cluster-pool", "operator": pool}
    assert (values["MTU"], values["kubeProxyReplacement"]) == (1400, "true")
    assert values["operator"]["replicas"] == 1
    assert values["operator"]["rollOutPods"] is True
    assert (values["hubble"], values["debug"]) == ({"enabled": True}, {"enabled": True})


def test_values_are_merged_as_helm_does() -> None:
    below = {"a": {"b": 1, "c": [1]}, "d": 1}
    assert merged(below, {"a": {"c": [2]}, "d": {"e": 1}}) == {"a": {"b": 1, "c": [2]}, "d": {"e": 1}}
    assert below == {"a": {"b": 1, "c": [1]}, "d": 1}


def test_kube_proxy_is_left_out_where_cilium_replaces_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert all(runs_on("kube_proxy", plan, host) for host in plan.hosts)
    plan = plan_of(tmp_path, "{kubeProxyReplacement: true}")
    assert not any(runs_on("kube_proxy", plan, host) for host in plan.hosts)


def test_files_to_fetch(tmp_path: Path) -> None:
    manifest, program = files(plan_of(tmp_path))
    assert manifest.key == "cilium/1.20.0/any/cilium-1.20.0.tgz"
    assert program.name == "helm"


def test_the_chart_is_rendered(tmp_path: Path, helm_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    plan = plan_of(tmp_path)
    network, dns = groups(tmp_path, plan, chart(tmp_path, plan), helm_directory)
    assert [(each["name"], each["wait"]) for each in (network, dns)] == [("pod-network", True), ("dns", True)]
    (only,) = network["objects"]
    metadata = only["object"]["metadata"]
    assert (only["source"], metadata["namespace"]) == (
        "chart cilium, cilium/templates/all.yaml",
        "kube-system",
    )
    assert json.loads(metadata["annotations"]["values"]) == cilium_values(plan)


def test_other_images_than_the_catalogue(
    tmp_path: Path, helm_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    plan = plan_of(tmp_path)
    with pytest.raises(ConfigError, match=r"network.plugin: https://helm.cilium.io/.* name different images"):
        groups(tmp_path, plan, chart(tmp_path, plan, images=2), helm_directory)
    plan = plan_of(tmp_path, "{values: {envoy: {enabled: false}}}")
    assert len(groups(tmp_path, plan, chart(tmp_path, plan, images=2), helm_directory)) == 2


@pytest.mark.parametrize(
    ("settings", "data"),
    [
        (
            "{}",
            {
                "routing-mode": "tunnel",
                "tunnel-protocol": "vxlan",
                "ipam": "kubernetes",
                "kube-proxy-replacement": "false",
            },
        ),
        ("{routing: geneve, mtu: 1400}", {"tunnel-protocol": "geneve", "mtu": "1400"}),
        (
            "{routing: native, ipam: cluster-pool, kubeProxyReplacement: true}",
            {
                "routing-mode": "native",
                "ipv4-native-routing-cidr": "10.8.0.0/16",
                "auto-direct-node-routes": "true",
                "ipam": "cluster-pool",
                "cluster-pool-ipv4-cidr": "10.8.0.0/16",
                "cluster-pool-ipv4-mask-size": "24",
                "kube-proxy-replacement": "true",
            },
        ),
        ("{values: {bpf: {masquerade: true}}}", {"enable-bpf-masquerade": "true"}),
    ],
)
def test_ciliums_own_chart(
    tmp_path: Path,
    helm_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: str,
    data: dict[str, str],
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    plan = plan_of(tmp_path, settings)
    assert plan.pod_network
    folders = map(Path, filter(None, os.environ.get("K8SBOOTSTRAP_E2E_ARTIFACTS", "").split(":")))
    places = [folder / plan.pod_network.manifest.key for folder in folders]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        pytest.skip(f"{plan.pod_network.manifest.key} is in no directory of K8SBOOTSTRAP_E2E_ARTIFACTS")
    first = groups(tmp_path, plan, path, helm_directory)
    objects = [each["object"] for each in first[0]["objects"]]
    (config,) = (item["data"] for item in objects if item["metadata"]["name"] == "cilium-config")
    assert {key: config[key] for key in data} == data
    assert {item["kind"] for item in objects} >= {"DaemonSet", "Deployment", "ClusterRole", "ServiceAccount"}

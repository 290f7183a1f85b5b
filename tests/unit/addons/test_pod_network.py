"""Pod networks that are objects: settings of cluster.yaml get into what the projects publish.

The manifests here are only shaped like those; the real ones are pinned by hash, and not in this repository.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8sbootstrap.addons import user_manifests
from k8sbootstrap.addons.objects_file import files, write_addons
from k8sbootstrap.addons.pod_network import pod_network_objects
from k8sbootstrap.errors import ConfigError
from k8sbootstrap.formats.objects import ObjectError, Sourced
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State
from tests.cluster_yaml import cluster_yaml

CLUSTER = cluster_yaml("m1", version="1.36.3")


def workload(kind: str, name: str, init: list[str], container: dict[str, Any]) -> dict[str, Any]:
    pod = {"initContainers": [{"name": f"i{i}", "image": ref} for i, ref in enumerate(init)]}
    spec = {"template": {"spec": {**pod, "containers": [container]}}}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "n"}, "spec": spec}


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def refs(plan: ClusterPlan) -> dict[str, str]:
    assert plan.pod_network
    return {image.artifact.name: image.ref for image in plan.pod_network.images}


def flannel(plan: ClusterPlan) -> list[dict[str, Any]]:
    found = refs(plan)
    container = {"name": "kube-flannel", "image": found["flannel"], "args": ["--ip-masq"]}
    return [
        config_map(
            "kube-flannel-cfg",
            **{
                "cni-conf.json": '{"plugins": [{"type": "flannel", "delegate": {"hairpinMode": true}}]}',
                "net-conf.json": '{"Network": "10.1.0.0/16", "EnableNFTables": false, "Backend": {}}',
            },
        ),
        workload("DaemonSet", "kube-flannel-ds", [found["flannel-cni-plugin"]], container),
    ]


def calico(plan: ClusterPlan) -> list[dict[str, Any]]:
    found = refs(plan)
    container = {
        "name": "calico-node",
        "image": found["calico-node"],
        "env": [{"name": "CALICO_IPV4POOL_IPIP", "value": "Always"}, {"name": "IP", "value": "autodetect"}],
        **{
            f"{probe}Probe": {"exec": {"command": ["/bin/calico-node", f"-felix-{word}", f"-bird-{word}"]}}
            for probe, word in (("liveness", "live"), ("readiness", "ready"))
        },
    }
    controllers = {"name": "calico-kube-controllers", "image": found["calico-kube-controllers"]}
    return [
        config_map("calico-config", calico_backend="bird", veth_mtu="0"),
        workload("DaemonSet", "calico-node", [found["calico-cni"]], container),
        workload("Deployment", "calico-kube-controllers", [], controllers),
    ]


MANIFESTS = {"flannel": flannel, "calico": calico}


def plan_of(folder: Path, plugin: str, settings: str = "{}") -> ClusterPlan:
    more = f", {plugin}: {settings}" if plugin in MANIFESTS else ""
    text = f"network: {{plugin: {plugin}, podCIDR: 10.8.0.0/16{more}}}\n"
    (folder / "cluster.yaml").write_text(CLUSTER + text)
    return load_plan(folder / "cluster.yaml")


def rendered(
    folder: Path, plugin: str, settings: str = "{}", without: int | None = None
) -> dict[str, dict[str, Any]]:
    plan = plan_of(folder, plugin, settings)
    assert plan.pod_network
    manifest = MANIFESTS[plugin](plan)
    if without is not None:
        del manifest[without]
    (folder / "manifest.yaml").write_text(yaml.safe_dump_all(manifest))
    found = objects_of(plan, {plan.pod_network.manifest.key: folder / "manifest.yaml"})
    return {f"{each.object['kind']}/{each.object['metadata']['name']}": each.object for each in found}


def objects_of(plan: ClusterPlan, fetched: dict[str, Path]) -> list[Sourced]:
    found, notes = pod_network_objects(
        plan, fetched, user_manifests.renderer(plan.config, fetched, Path("/nowhere"))
    )
    assert notes == []
    return found


def container_of(item: dict[str, Any]) -> dict[str, Any]:
    (found,) = item["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize("plugin", ["routed", "none"])
def test_no_objects_where_hosts_or_others_make_it(tmp_path: Path, plugin: str) -> None:
    plan = plan_of(tmp_path, plugin)
    assert (plan.pod_network, files(plan), objects_of(plan, {})) == (None, [], [])


@pytest.mark.parametrize(
    ("settings", "backend", "mtu"),
    [
        ("{}", {"Type": "vxlan"}, None),
        ("{mtu: 1400}", {"Type": "vxlan", "MTU": 1450}, 1400),
        ("{backend: host-gw, mtu: 1400}", {"Type": "host-gw"}, 1400),
        ("{backend: wireguard, mtu: 1400}", {"Type": "wireguard", "MTU": 1480}, 1400),
    ],
)
def test_flannel(tmp_path: Path, settings: str, backend: dict[str, Any], mtu: int | None) -> None:
    found = rendered(tmp_path, "flannel", settings)
    data = found["ConfigMap/kube-flannel-cfg"]["data"]
    wanted = {"Network": "10.8.0.0/16", "EnableNFTables": False, "Backend": backend}
    assert json.loads(data["net-conf.json"]) == wanted
    assert json.loads(data["cni-conf.json"])["plugins"][0]["delegate"].get("mtu") == mtu
    pod = found["DaemonSet/kube-flannel-ds"]["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"seLinuxOptions": {"type": "spc_t"}}
    container = container_of(found["DaemonSet/kube-flannel-ds"])
    assert container["args"] == ["--ip-masq", "--iface=$(NODE_ADDRESS)"]
    assert container["env"][0]["valueFrom"] == {"fieldRef": {"fieldPath": "status.hostIP"}}


def test_pods_are_replaced_when_what_they_read_at_their_start_changes(tmp_path: Path) -> None:
    def mark(settings: str) -> str:
        template = rendered(tmp_path, "flannel", settings)["DaemonSet/kube-flannel-ds"]["spec"]["template"]
        return template["metadata"]["annotations"]["k8sbootstrap.io/config"]

    assert mark("{}") == mark("{backend: vxlan}") != mark("{backend: host-gw}")


@pytest.mark.parametrize(
    ("encapsulation", "modes", "backend"),
    [
        ("ipip", ("Always", "Never"), "bird"),
        ("vxlan", ("Never", "Always"), "vxlan"),
        ("none", ("Never", "Never"), "bird"),
    ],
)
def test_calico(tmp_path: Path, encapsulation: str, modes: tuple[str, str], backend: str) -> None:
    found = rendered(tmp_path, "calico", f"{{encapsulation: {encapsulation}, mtu: 1400}}")
    assert found["ConfigMap/calico-config"]["data"] == {"calico_backend": backend, "veth_mtu": "1400"}
    pool = found["IPPool/default-ipv4-ippool"]["spec"]
    assert (pool["cidr"], pool["ipipMode"], pool["vxlanMode"]) == ("10.8.0.0/16", *modes)
    container = container_of(found["DaemonSet/calico-node"])
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    assert env == {
        "IP": "autodetect",
        "NO_DEFAULT_POOLS": "true",
        "IP_AUTODETECTION_METHOD": "kubernetes-internal-ip",
    }
    probes = [container[f"{name}Probe"]["exec"]["command"] for name in ("liveness", "readiness")]
    bird = [] if backend == "vxlan" else ["-bird-live", "-bird-ready"]
    assert [word for probe in probes for word in probe if word.startswith("-bird")] == bird


def test_it_comes_before_dns_and_is_waited_for(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "flannel")
    (manifest,) = files(plan)
    assert manifest.key == "flannel/0.28.9/any/kube-flannel.yml"
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump_all(flannel(plan)))
    fetched = {manifest.key: tmp_path / "manifest.yaml"}
    write_addons(plan, tmp_path / "cluster.yaml", fetched, State(tmp_path))
    groups = json.loads((tmp_path / "addons.json").read_text())
    assert [(group["name"], group["wait"]) for group in groups] == [("pod-network", True), ("dns", True)]


def test_dns_is_not_waited_for_where_others_bring_the_pod_network(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "none")
    write_addons(plan, tmp_path / "cluster.yaml", {}, State(tmp_path))
    groups = json.loads((tmp_path / "addons.json").read_text())
    assert [(group["name"], group["wait"]) for group in groups] == [("dns", False)]


def test_a_manifest_without_what_settings_go_into(tmp_path: Path) -> None:
    with pytest.raises(ObjectError, match=r"kube-flannel.yml has no ConfigMap kube-flannel-cfg"):
        rendered(tmp_path, "flannel", without=0)


def test_a_manifest_with_other_images_than_the_catalogue(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "flannel")
    assert plan.pod_network
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(yaml.safe_dump_all(flannel(plan)).replace("flannel:v0.28.9", "flannel:v0.29.0"))
    with pytest.raises(ConfigError, match=r"name different images: .*flannel:v0.28.9 and .*flannel:v0.29.0"):
        write_addons(
            plan,
            tmp_path / "cluster.yaml",
            {plan.pod_network.manifest.key: manifest},
            State(tmp_path),
        )


def test_images_that_nodes_use(tmp_path: Path) -> None:
    keys = [image.artifact.key for image in plan_of(tmp_path, "calico").images("amd64")]
    assert keys[1:4] == [
        f"calico-{name}/3.32.1/amd64/image.tar" for name in ("cni", "node", "kube-controllers")
    ]

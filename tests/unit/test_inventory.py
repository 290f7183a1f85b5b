"""The inventory that Ansible gets: golden files, and no secret in any of them."""

import hashlib
import json
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8sbootstrap.artifacts.own_images import OwnImage
from k8sbootstrap.inventory.connection import sudo_password_variable
from k8sbootstrap.inventory.proxy import proxy_variables, write_proxy
from k8sbootstrap.inventory.render import render_connections, render_inventory
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State

GOLDEN = Path(__file__).parent / "golden" / "inventory"
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


REGISTRIES = """\
proxy: {http: "http://proxy.example.com:3128"}
runtime:
  registries:
    - {host: docker.io, mirrors: ["https://mirror.example.com"]}
"""


@dataclass(frozen=True)
class Fetched:
    """A file that was fetched."""

    path: Path
    sha256: str
    url: str | None


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ClusterPlan]:
    """Plans a cluster file in the test's folder."""
    monkeypatch.setenv("TEST_SUDO_PASSWORD", PASSWORD)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/id").write_text("key")
    (tmp_path / "keys/id").chmod(0o600)

    def _cluster(text: str) -> ClusterPlan:
        (tmp_path / "cluster.yaml").write_text(text)
        return load_plan(tmp_path / "cluster.yaml")

    return _cluster


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


@pytest.fixture
def rendered(cluster: Callable[[str], ClusterPlan], tmp_path: Path) -> Path:
    """The inventory of three masters and two workers."""
    render(cluster(CLUSTER), tmp_path)
    return tmp_path / "inventory"


def render(plan: ClusterPlan, folder: Path, **more: Any) -> list[Path]:
    state = State.beside(folder / "cluster.yaml", plan.config.name)
    if plan.local_registry:
        ensure_pki(plan, state)
    return render_inventory(plan, state, fetched(plan), folder / "inventory", **more)


def files(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def test_golden(rendered: Path, tmp_path: Path, golden: Callable[[Path, str], None]) -> None:
    for name, path in files(rendered).items():
        text = re.sub(r"(?m)^(\w+_digest): [0-9a-f]{32}$", r"\1: DIGEST", path.read_text())
        golden(GOLDEN / name, text.replace(str(tmp_path), "/folder"))
    assert set(files(GOLDEN)) == set(files(rendered))


def test_the_sudo_password_is_in_no_file(rendered: Path) -> None:
    texts = {name: path.read_text() for name, path in files(rendered).items()}
    assert [name for name, text in texts.items() if PASSWORD in text] == []
    variable = sudo_password_variable("worker2")
    assert f"lookup('ansible.builtin.env', '{variable}')" in texts["host_vars/worker2.yml"]


def test_only_its_owner_can_read_it(rendered: Path) -> None:
    for path in [rendered, *rendered.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_rendering_again_touches_nothing(cluster: Callable[[str], ClusterPlan], tmp_path: Path) -> None:
    plan = cluster(CLUSTER)
    written = render(plan, tmp_path)
    before = {path: path.stat().st_ino for path in written}
    assert render(plan, tmp_path) == written
    assert {path: path.stat().st_ino for path in written} == before
    assert set(files(tmp_path / "inventory").values()) == set(written)


def test_a_host_that_is_gone_leaves_no_file(cluster: Callable[[str], ClusterPlan], tmp_path: Path) -> None:
    render(cluster(CLUSTER), tmp_path)
    assert (tmp_path / "inventory/host_vars/worker2.yml").exists()
    render(cluster(CLUSTER[: CLUSTER.index("  - name: worker2")]), tmp_path)
    assert not (tmp_path / "inventory/host_vars/worker2.yml").exists()
    assert "worker2" not in (tmp_path / "inventory/hosts.yml").read_text()


def test_hosts_of_another_architecture_get_their_own_files(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    text = CLUSTER.replace("roles: [master, worker]}", "roles: [master, worker], arch: arm64}")
    render(cluster(CLUSTER), tmp_path)
    before = {name: path.read_text() for name, path in files(tmp_path / "inventory").items()}
    render(cluster(text), tmp_path)
    after = {name: path.read_text() for name, path in files(tmp_path / "inventory").items()}
    assert [name for name in after if after[name] != before[name]] == ["host_vars/master3.yml"]
    ours, common = (yaml.safe_load(after[name]) for name in ("host_vars/master3.yml", "group_vars/all.yml"))
    own = {name for name in common if name.endswith(("_binaries", "_images"))}
    assert len(own) == 9
    assert own <= set(ours)
    for name in own:
        assert "/amd64/" in str(common[name])
        assert "/amd64/" not in str(ours[name])
        assert str(ours[name]).replace("/arm64/", "/amd64/").count("/amd64/") == str(common[name]).count(
            "/amd64/"
        )
        assert ours[name] != common[name]
    changed = {
        name for name in ours if ours[name] != yaml.safe_load(before["host_vars/master3.yml"]).get(name)
    }
    roles = {name.rpartition("_")[0] for name in own}
    assert changed - own == {f"{role}_digest" for role in roles}


def test_an_etcd_host_of_another_architecture_gets_etcd_alone(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    etcd = "  - {name: etcd1, address: 192.0.2.31, roles: [etcd], arch: arm64}\n"
    render(cluster(CLUSTER + etcd), tmp_path)
    ours = yaml.safe_load((tmp_path / "inventory/host_vars/etcd1.yml").read_text())
    assert [name for name in ours if name.endswith(("_binaries", "_images"))] == ["etcd_binaries"]


def test_images_that_were_not_fetched_are_left_to_the_runtime(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    plan = cluster(CLUSTER)
    state = State.beside(tmp_path / "cluster.yaml", "demo")
    render_inventory(plan, state, fetched(plan, images=False), tmp_path / "inventory")
    everything = yaml.safe_load((tmp_path / "inventory/group_vars/all.yml").read_text())
    assert everything["container_runtime_images"] == []
    assert everything["container_runtime_sandbox_image"].startswith("registry.k8s.io/pause:")


def test_a_file_that_is_missing_is_named(cluster: Callable[[str], ClusterPlan], tmp_path: Path) -> None:
    plan = cluster(CLUSTER)
    artifacts = fetched(plan)
    del artifacts["kubernetes/1.36.4/amd64/kubelet"]
    state = State.beside(tmp_path / "cluster.yaml", "demo")
    with pytest.raises(KeyError, match=r"kubernetes/1\.36\.4/amd64/kubelet"):
        render_inventory(plan, state, artifacts, tmp_path / "inventory")


def test_hosts_that_only_hold_etcd_get_nothing_else(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    plan = cluster(CLUSTER + "  - {name: etcd1, address: 10.0.0.31, roles: [etcd]}\n")
    render(plan, tmp_path)
    hosts = yaml.safe_load((tmp_path / "inventory/hosts.yml").read_text())["all"]["children"]
    assert list(hosts["etcd"]["hosts"]) == ["etcd1"]
    assert "etcd1" not in hosts["nodes"]["hosts"]
    variables = yaml.safe_load((tmp_path / "inventory/host_vars/etcd1.yml").read_text())
    assert {name for name in variables if not name.startswith("ansible_")} == {
        "etcd_address",
        "etcd_digest",
        "host_digest",
        "host_firewall",
        "host_selinux_booleans",
        "k8sbootstrap_made_with",
        "packages_digest",
        "packages_hold_units",
        "packages_platforms",
        "retired_components",
    }
    assert variables["retired_components"] == ["image_registry", "api_loadbalancer"]
    assert "etcd_address" not in (tmp_path / "inventory/host_vars/master1.yml").read_text()


def test_text_that_yaml_would_misread_stays_text(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    text = CLUSTER.replace(
        "kubernetes: {version: 1.36.4}",
        'kubernetes: {version: 1.36.4, extraArgs: {kubelet: {v: "2", event-burst: "no", x: "a: b # c"}}}',
    ).replace("disk: ssd", 'disk: "010", flag: "yes"')
    render(cluster(text), tmp_path)
    everything = yaml.safe_load((tmp_path / "inventory/group_vars/all.yml").read_text())
    assert everything["kubelet_extra_args"] == {"v": "2", "event-burst": "no", "x": "a: b # c"}
    labels = everything["node_settings_nodes"]["worker1"]["labels"]
    assert labels == {"disk": "010", "flag": "yes", "example.com/yes": "true"}


def test_connections_alone_hold_no_settings_of_roles(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    render_connections(cluster(CLUSTER), tmp_path / "connections")
    texts = {name: path.read_text() for name, path in files(tmp_path / "connections").items()}
    assert [name for name, text in texts.items() if PASSWORD in text] == []
    for name, text in texts.items():
        if name.startswith("host_vars/"):
            assert all(key.startswith("ansible_") for key in yaml.safe_load(text))
    assert yaml.safe_load(texts["host_vars/worker2.yml"])["ansible_port"] == 2222


def test_no_kube_proxy_where_cilium_replaces_it(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    network = "network: {plugin: cilium, cilium: {kubeProxyReplacement: true}}\n"
    render(cluster(CLUSTER + network), tmp_path)
    everywhere = yaml.safe_load((tmp_path / "inventory/group_vars/all.yml").read_text())
    assert everywhere["kube_proxy_mode"] == "none"
    digests = yaml.safe_load((tmp_path / "inventory/host_vars/worker1.yml").read_text())
    assert "kubelet_digest" in digests
    assert "kube_proxy_digest" not in digests


def test_workers_with_an_external_endpoint_keep_no_load_balancer(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    render(cluster(CLUSTER.replace("hosts:", "api: {endpoint: lb.example.com}\nhosts:", 1)), tmp_path)
    found = {
        host: yaml.safe_load((tmp_path / f"inventory/host_vars/{host}.yml").read_text())
        for host in ("master1", "worker1")
    }
    assert found["worker1"]["retired_components"] == ["image_registry", "api_loadbalancer"]
    assert found["master1"]["retired_components"] == ["image_registry"]
    render(cluster(CLUSTER.replace("hosts:", "registry: {host: worker1}\nhosts:", 1)), tmp_path)
    assert "retired_components" not in (tmp_path / "inventory/host_vars/worker1.yml").read_text()


def test_nodes_ask_the_clusters_own_registry_first(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    own = OwnImage("registry.example.com:5000/team/app:1", "amd64", Path("/images/app.tar"), "ab" * 32)
    text = CLUSTER.replace("hosts:", f"{REGISTRIES}registry: {{host: worker1, port: 5005}}\nhosts:", 1)
    plan = cluster(text)
    render(plan, tmp_path, registry_images=[own])
    variables = yaml.safe_load((tmp_path / "inventory/group_vars/all.yml").read_text())
    stored = [(image["name"], image["tag"], image["arch"]) for image in variables["image_registry_images"]]
    pause = plan.release.pause.ref.rpartition(":")[2]
    assert stored == [
        ("registry.k8s.io/pause", pause, "amd64"),
        ("registry.example.com_5000/team/app", "1", "amd64"),
    ]
    local = "https://10.0.0.21:5005"
    found = {
        registry["host"]: [mirror["url"] for mirror in registry["mirrors"]]
        for registry in variables["container_runtime_registries"]
    }
    assert found == {
        "docker.io": ["https://mirror.example.com"],
        "registry.k8s.io": [f"{local}/v2/registry.k8s.io"],
        "registry.example.com:5000": [f"{local}/v2/registry.example.com_5000"],
        "10.0.0.21:5005": [],
    }
    assert variables["container_runtime_registries"][-1]["ca"]["path"].endswith("/pki/ca.crt")
    assert "10.0.0.21" in proxy_variables(plan)["no_proxy"].split(",")
    hosts = yaml.safe_load((tmp_path / "inventory/hosts.yml").read_text())["all"]["children"]
    assert list(hosts["image_registry"]["hosts"]) == ["worker1"]
    worker = yaml.safe_load((tmp_path / "inventory/host_vars/worker1.yml").read_text())
    assert any("docker-registry" in platform["packages"] for platform in worker["packages_platforms"])
    assert worker["packages_platforms"] == [
        each for each in worker["packages_platforms"] if each["manager"] == "apt"
    ]


def test_a_proxy_is_in_a_private_file_and_the_inventory_names_that(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    plan = cluster(CLUSTER + "proxy: {http: http://robot:hunter2@proxy.example.com:3128}\n")
    state = State.beside(tmp_path / "cluster.yaml", plan.config.name)
    state.create()
    write_proxy(plan, state)
    first = state.proxy.read_text()
    write_proxy(plan, state)
    assert state.proxy.read_text() == first
    assert stat.S_IMODE(state.proxy.stat().st_mode) == 0o600
    assert json.loads(first)["variables"]["HTTP_PROXY"] == "http://robot:hunter2@proxy.example.com:3128"
    render(plan, tmp_path)
    variables = yaml.safe_load((tmp_path / "inventory/group_vars/all.yml").read_text())
    for name in ("packages_proxy", "container_runtime_proxy"):
        assert variables[name] == {
            "path": str(state.proxy),
            "sha256": hashlib.sha256(first.encode()).hexdigest(),
        }
    assert not any("hunter2" in path.read_text() for path in files(tmp_path / "inventory").values())
    state.proxy.unlink()
    write_proxy(plan, state)
    assert state.proxy.read_text() != first, "its hash can be computed from the password"
    write_proxy(cluster(CLUSTER), state)
    assert not state.proxy.exists()

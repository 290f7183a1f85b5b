"""cluster.yaml as the lab writes it."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from k8sbootstrap.config.load import load_cluster
from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import cluster_file
from k8sbootstrap.lab.cluster_file import ListedHost

HOSTS = [ListedHost("master1", "10.86.0.11", ("master",)), ListedHost("worker1", "10.86.0.12", ("worker",))]


def _write(
    path: Path,
    version: str = "1.37.2",
    runtime: str = "docker",
    *,
    dns: bool = True,
    containers: bool = True,
    emulated: bool = False,
    cgroup_v1: bool = True,
    sealed: bool = False,
    runtime_source: str = "distribution",
    releases: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> bool:
    key = path.parent / "keys" / "id"
    key.parent.mkdir(exist_ok=True)
    key.write_text("")
    key.chmod(0o600)
    sources = [path.parent]
    return cluster_file.write(
        path,
        HOSTS,
        version=version,
        runtime=runtime,
        sources=sources,
        key=key,
        dns=dns,
        containers=containers,
        emulated=emulated,
        cgroup_v1=cgroup_v1,
        sealed=sealed,
        runtime_source=runtime_source,
        releases=releases,
    )


def test_it_is_a_valid_cluster(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    assert _write(path, runtime="containerd")
    cluster = load_cluster(path)
    assert cluster.name == "lab"
    assert [(host.name, host.address, host.roles) for host in cluster.hosts] == [
        ("master1", "10.86.0.11", ["master"]),
        ("worker1", "10.86.0.12", ["worker"]),
    ]
    assert cluster.runtime.name == "containerd"
    assert cluster.ssh.user == "ops"
    assert cluster.ssh.key == Path("keys/id")
    assert cluster.artifacts.upstream
    assert cluster.kubernetes.extra_config["kube-proxy"] == {"conntrack": {"maxPerCore": 0}}


@pytest.mark.parametrize("cgroup_v1", [True, False])
def test_the_kubelet_is_told_of_cgroup_v1(tmp_path: Path, *, cgroup_v1: bool) -> None:
    path = tmp_path / "cluster.yaml"
    _write(path, cgroup_v1=cgroup_v1)
    kubelet = load_cluster(path).kubernetes.extra_config.get("kubelet", {})
    assert kubelet.get("failCgroupV1") == (False if cgroup_v1 else None)


def test_virtual_machines_have_the_settings_of_any_host(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    _write(path, containers=False)
    assert load_cluster(path).kubernetes.extra_config == {}


def test_leaders_of_emulated_hosts_are_patient(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    _write(path, containers=False, emulated=True)
    kubernetes = load_cluster(path).kubernetes
    assert kubernetes.extra_args["kube-controller-manager"]["leader-elect-renew-deadline"] == "90s"
    assert kubernetes.extra_config["kube-scheduler"]["leaderElection"]["renewDeadline"] == "90s"
    assert "kube-proxy" not in kubernetes.extra_config


def test_the_runtime_of_upstream_and_versions_that_were_built(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    _write(path)
    cluster = load_cluster(path)
    assert (cluster.runtime.source, cluster.releases) == ("distribution", {})
    _write(
        path, runtime="containerd", runtime_source="upstream", releases={"1.37.2": {"criDockerd": "0.4.0"}}
    )
    cluster = load_cluster(path)
    assert cluster.runtime.source == "upstream"
    assert cluster.releases["1.37.2"].cri_dockerd == "0.4.0"


def test_without_an_image_there_is_no_dns(tmp_path: Path) -> None:
    _write(tmp_path / "cluster.yaml", dns=False)
    assert load_cluster(tmp_path / "cluster.yaml").dns.name == "none"


def test_sealed_hosts_have_nobody_to_ask_for_other_names(tmp_path: Path) -> None:
    _write(tmp_path / "cluster.yaml", sealed=True)
    dns = load_cluster(tmp_path / "cluster.yaml").dns
    assert (dns.name, dns.upstream) == ("coredns", [])


def test_writing_it_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    _write(path)
    before = path.stat().st_mtime_ns
    assert not _write(path)
    assert path.stat().st_mtime_ns == before
    assert _write(path, runtime="containerd")


def test_a_file_of_the_user_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("kind: Cluster\n")
    with pytest.raises(LabError, match="was not written by a lab") as caught:
        _write(path)
    assert path.read_text() == "kind: Cluster\n"
    assert "--file" in caught.value.hint

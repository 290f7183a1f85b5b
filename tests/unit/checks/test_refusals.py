"""What would break a cluster that is there, from what hosts report."""

from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.checks.refusals import Refusal, refusals, require_allowed
from k8sbootstrap.errors import HostError, PreflightError
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.made_with import made_with
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.etcd_members import EtcdReport
from k8sbootstrap.survey.record import HostFinding
from tests.cluster_yaml import cluster_yaml

CLUSTER = cluster_yaml("etcd1", "master1", "master2", "worker1")
ROLES = {"etcd1": ("etcd",), "master1": ("kube_apiserver", "kubelet", "kube_proxy")}
ROLES |= {"master2": ROLES["master1"], "worker1": ("kubelet", "kube_proxy")}
MEMBER = EtcdReport(cluster="demo", data=True, members={"etcd1": "10.0.0.31"}, formed=True)


def planned(folder: Path, text: str = CLUSTER) -> ClusterPlan:
    (folder / "cluster.yaml").write_text(text)
    return load_plan(folder / "cluster.yaml")


def edited(folder: Path, before: str, after: str) -> ClusterPlan:
    assert before in CLUSTER
    return planned(folder, CLUSTER.replace(before, after))


def with_network(folder: Path, settings: str) -> ClusterPlan:
    return planned(folder, f"{CLUSTER}network: {{{settings}}}\n")


@pytest.fixture
def running(tmp_path: Path) -> dict[str, HostFinding]:
    """What the hosts of CLUSTER report when it runs."""
    plan = planned(tmp_path)
    return {
        host.name: HostFinding(
            cluster="demo",
            digests=dict.fromkeys(ROLES[host.name], "x"),
            drift={},
            routes={},
            pod_cidrs=None,
            api_error="",
            made_with=made_with(plan, host),
            etcd=MEMBER if host.is_etcd else EtcdReport(cluster="demo", joined=True),
        )
        for host in plan.hosts
    }


def but(findings: dict[str, HostFinding], host: str, **other: Any) -> dict[str, HostFinding]:
    """``findings`` with some values of one host's ``made_with`` changed, or other fields."""
    made = {**findings[host].made_with, **other.pop("made", {})}
    fields = {**findings[host].__dict__, "made_with": made, **other}
    return {**findings, host: HostFinding(**fields)}


def only(plan: ClusterPlan, findings: dict[str, HostFinding]) -> Refusal:
    (refusal,) = refusals(plan, findings)
    return refusal


def test_the_same_file_is_allowed(tmp_path: Path, running: dict[str, HostFinding]) -> None:
    assert refusals(planned(tmp_path), running) == ()
    require_allowed(planned(tmp_path), running)


def test_bare_hosts_may_become_anything(tmp_path: Path) -> None:
    bare = HostFinding(cluster="", digests={}, drift={}, routes={}, pod_cidrs=None, api_error="")
    plan = planned(tmp_path)
    assert refusals(plan, {host.name: bare for host in plan.hosts}) == ()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("serviceCIDR: 10.112.0.0/16", "Services have addresses in 10.96.0.0/16"),
        ("dnsDomain: k8s.example.com", "the DNS domain is cluster.local"),
        ("nodeCIDRMaskSize: 25", "each node has a /24 range for pods"),
        ("podCIDR: 10.8.0.0/16", "its pods are in 10.244.0.0/16"),
        ("podCIDR: 10.244.0.0/17", "its pods are in 10.244.0.0/16"),
        ("plugin: flannel", "its pod network is routed"),
    ],
)
def test_what_a_cluster_is_made_with(
    tmp_path: Path, running: dict[str, HostFinding], settings: str, said: str
) -> None:
    key, value = settings.split(": ")
    refusal = only(with_network(tmp_path, settings), running)
    assert refusal.text.startswith(f"master1: {said}, and cluster.yaml says network.{key}: {value}. ")
    assert refusal.hint.startswith(f"Set network.{key} back to ")


def test_another_container_runtime(tmp_path: Path, running: dict[str, HostFinding]) -> None:
    refusal = only(planned(tmp_path, CLUSTER + "runtime: {name: containerd}\n"), running)
    assert refusal.text.startswith("master1: its containers run in docker, and ")


@pytest.mark.parametrize(
    "flag", ["service-account-issuer: https://issuer.example.com", "etcd-prefix: /other"]
)
def test_flags_that_a_cluster_is_made_with(
    tmp_path: Path, running: dict[str, HostFinding], flag: str
) -> None:
    args = f"{{version: 1.36.2, extraArgs: {{kube-apiserver: {{{flag}}}}}}}"
    refusal = only(edited(tmp_path, "{version: 1.36.2}", args), running)
    assert f"kubernetes.extraArgs.kube-apiserver.{flag}" in refusal.text


def test_what_may_be_changed(tmp_path: Path, running: dict[str, HostFinding]) -> None:
    assert refusals(with_network(tmp_path, "podCIDR: 10.240.0.0/12"), running) == ()
    assert refusals(with_network(tmp_path, "kubeProxyMode: nftables"), running) == ()
    assert refusals(edited(tmp_path, "10.0.0.21", "10.0.0.22"), running) == ()
    without = {name: found for name, found in running.items() if name != "worker1"}
    assert refusals(edited(tmp_path, "worker1", "worker2"), without) == ()


def test_none_may_become_a_pod_network(tmp_path: Path, running: dict[str, HostFinding]) -> None:
    for name in ("master1", "master2", "worker1"):
        running = but(running, name, made={"network.plugin": "none"})
    assert refusals(with_network(tmp_path, "plugin: flannel"), running) == ()


def test_calicos_pool_keeps_its_range(tmp_path: Path, running: dict[str, HostFinding]) -> None:
    for name in running:
        running = but(running, name, made={"network.plugin": "calico"})
    refusal = only(with_network(tmp_path, "plugin: calico, podCIDR: 10.240.0.0/12"), running)
    assert "calico's pool" in refusal.text


@pytest.mark.parametrize("replaced", [False, True])
def test_a_kube_proxy_that_is_to_be_replaced(
    tmp_path: Path, running: dict[str, HostFinding], *, replaced: bool
) -> None:
    for name in running:
        running = but(running, name, made={"network.plugin": "cilium"})
    settings = f"plugin: cilium, cilium: {{kubeProxyReplacement: {str(replaced).lower()}}}"
    found = refusals(with_network(tmp_path, settings), running)
    assert [refusal.text.split(",")[0] for refusal in found] == [
        "master1: kube-proxy runs on this host"
    ] * replaced


def test_another_name_for_a_host(tmp_path: Path, running: dict[str, HostFinding]) -> None:
    running["node-a"] = running.pop("worker1")
    refusal = only(edited(tmp_path, "worker1", "node-a"), running)
    assert refusal.text.startswith(
        "node-a: this host is the node worker1, and cluster.yaml says hosts[].name"
    )
    assert refusal.hint == (
        "Set the name of the host back to worker1. To change it: k8sbootstrap remove worker1, then write the "
        "new name and run k8sbootstrap up."
    )


def test_another_address_for_a_master(tmp_path: Path, running: dict[str, HostFinding]) -> None:
    refusal = only(edited(tmp_path, "10.0.0.12", "10.0.0.99"), running)
    assert "hosts[master2].privateAddress: 10.0.0.99" in refusal.text
    refusal = only(edited(tmp_path, "10.0.0.31", "10.0.0.99"), running)
    assert refusal.text.startswith("etcd's member etcd1 has the address 10.0.0.31")


def test_another_name_for_the_cluster(tmp_path: Path, running: dict[str, HostFinding]) -> None:
    found = refusals(edited(tmp_path, "name: demo", "name: other"), running)
    assert [refusal.text.partition(",")[0] for refusal in found] == [
        f"{name} belongs to the cluster demo" for name in ("etcd1", "master1", "master2", "worker1")
    ]


def test_a_master_stays_one(tmp_path: Path, running: dict[str, HostFinding]) -> None:
    plan = edited(tmp_path, "0.0.12, roles: [master]", "0.0.12, roles: [worker]")
    assert only(plan, running).text.startswith("master2 is a master, and cluster.yaml says ")


def test_a_worker_may_become_a_master(tmp_path: Path, running: dict[str, HostFinding]) -> None:
    plan = edited(tmp_path, "0.0.21, roles: [worker]", "0.0.21, roles: [master, worker]")
    assert refusals(plan, running) == ()


def test_masters_are_the_judges_of_what_the_cluster_has(
    tmp_path: Path, running: dict[str, HostFinding]
) -> None:
    """A worker that reports other values neither blocks nor hides anything."""
    lies = {"network.serviceCIDR": "10.112.0.0/16"}
    assert refusals(planned(tmp_path), but(running, "worker1", made=lies)) == ()
    wanted = with_network(tmp_path, "serviceCIDR: 10.112.0.0/16")
    assert only(wanted, but(running, "worker1", made=lies)).text.startswith("master1: Services")
    assert only(wanted, but(running, "master1", made=lies)).text.startswith("master2: Services")
    alone = {"worker1": running["worker1"]}
    assert only(wanted, alone).text.startswith("worker1: Services")


def test_all_are_named_in_one_error(tmp_path: Path, running: dict[str, HostFinding]) -> None:
    plan = with_network(tmp_path, "serviceCIDR: 10.112.0.0/16, dnsDomain: other.example")
    with pytest.raises(PreflightError) as caught:
        require_allowed(plan, running, {"worker2": HostError("worker2: no answer within 10 s")})
    lines = str(caught.value).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["master1:", "master1:", "not", "Nothing"]
    assert lines[2] == "not reached: worker2: no answer within 10 s"
    assert lines[-1] == "Nothing was changed."
    assert caught.value.exit_code == 4
    assert len(caught.value.hint.splitlines()) == 2

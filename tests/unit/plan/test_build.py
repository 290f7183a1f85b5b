"""What the plan makes of a configuration."""

from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from k8sbootstrap.config.load import load_cluster
from k8sbootstrap.errors import ConfigError
from k8sbootstrap.plan.build import build_plan, load_plan
from k8sbootstrap.plan.models import BastionTarget, ClusterPlan
from k8sbootstrap.state import State
from tests.cluster_yaml import cluster_yaml

Plan = Callable[..., ClusterPlan]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Builds the plan of a cluster file with these hosts and other keys."""

    def _plan(hosts: list[str], *others: str, version: str = "1.36.2") -> ClusterPlan:
        file = tmp_path / "cluster.yaml"
        file.write_text("\n".join([cluster_yaml(*hosts, version=version), *others, ""]))
        return load_plan(file)

    return _plan


M1 = "name: m1, address: 10.0.0.11, roles: [master]"
M2 = "name: m2, address: 10.0.0.12, roles: [master]"
M3 = "name: m3, address: 10.0.0.13, roles: [master]"
W1 = "name: w1, address: 10.0.0.21, roles: [worker]"
E1 = "name: e1, address: 10.0.0.31, roles: [etcd]"


class TestRoles:
    def test_masters_hold_etcd_when_nobody_else_does(self, plan: Plan) -> None:
        built = plan([M1, W1, M2, M3])
        assert [host.name for host in built.masters] == ["m1", "m2", "m3"]
        assert [host.name for host in built.etcd_members] == ["m1", "m2", "m3"]
        assert [host.name for host in built.nodes] == ["m1", "w1", "m2", "m3"]
        assert built.hosts[1].roles == {"worker"}

    def test_masters_leave_etcd_to_hosts_of_that_role(self, plan: Plan) -> None:
        built = plan([M1, M2, W1, E1])
        assert [host.name for host in built.etcd_members] == ["e1"]
        assert [host.name for host in built.nodes] == ["m1", "m2", "w1"]

    def test_even_masters_are_fine_then(self, plan: Plan) -> None:
        assert len(plan([M1, M2, E1]).masters) == 2
        with pytest.raises(ConfigError, match="have 1 or 3 masters"):
            plan([M1, M2])


class TestTaints:
    def test_masters_get_the_usual_taint(self, plan: Plan) -> None:
        master, worker = plan([M1, W1]).hosts
        assert [(taint.key, taint.value, taint.effect) for taint in master.taints] == [
            ("node-role.kubernetes.io/control-plane", "", "NoSchedule")
        ]
        assert worker.taints == ()

    def test_masters_that_work_get_none(self, plan: Plan) -> None:
        assert plan(["name: m1, address: 10.0.0.11, roles: [master, worker]"]).hosts[0].taints == ()

    def test_given_taints_replace_the_default_also_when_there_are_none(self, plan: Plan) -> None:
        given = "taints: [{key: a, effect: NoExecute}]"
        master, worker = plan([f"{M1}, taints: []", f"{W1}, {given}"]).hosts
        assert master.taints == ()
        assert [taint.key for taint in worker.taints] == ["a"]


class TestSSH:
    def test_root_with_the_usual_keys_by_default(self, plan: Plan, tmp_path: Path) -> None:
        target = plan([M1]).hosts[0].ssh
        assert (target.host, target.address, target.user, target.port) == ("m1", "10.0.0.11", "root", 22)
        assert (target.key, target.bastion, target.sudo, target.sudo_password) == (None, None, False, None)
        assert target.known_hosts == State.beside(tmp_path / "cluster.yaml", "demo").known_hosts

    def test_other_users_need_sudo_unless_told_otherwise(self, plan: Plan) -> None:
        own = "ssh: {user: root}"
        off = "ssh: {sudo: false}"
        hosts = plan([M1, f"{W1}, {own}", f"{E1}, {off}"], "ssh: {user: admin}").hosts
        assert [(host.ssh.user, host.ssh.sudo) for host in hosts] == [
            ("admin", True),
            ("root", False),
            ("admin", False),
        ]

    def test_a_host_overrides_the_cluster_key_by_key(
        self, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("all.key", "one.key"):
            (tmp_path / name).write_text("key")
            (tmp_path / name).chmod(0o600)
        monkeypatch.setenv("SUDO_ALL", "all")
        monkeypatch.setenv("SUDO_ONE", "one")
        cluster = (
            "ssh: {user: admin, port: 2222, key: all.key, sudoPassword: {env: SUDO_ALL}, "
            "bastion: {address: jump.example.com}}"
        )
        one = "ssh: {port: 22, key: one.key, sudoPassword: {env: SUDO_ONE}, bastion: null}"
        first, second = plan([M1, f"{W1}, {one}"], cluster).hosts
        assert (first.ssh.port, first.ssh.key, first.ssh.sudo_password) == (2222, tmp_path / "all.key", "all")
        assert first.ssh.bastion == BastionTarget("jump.example.com", 22, "admin")
        assert (second.ssh.port, second.ssh.key, second.ssh.sudo_password) == (
            22,
            tmp_path / "one.key",
            "one",
        )
        assert (second.ssh.user, second.ssh.bastion) == ("admin", None)

    def test_an_unset_secret_is_a_configuration_error(self, plan: Plan) -> None:
        with pytest.raises(ConfigError, match="NO_SUCH_SECRET"):
            plan([M1], "ssh: {user: admin, sudoPassword: {env: NO_SUCH_SECRET}}")

    def test_a_password_is_not_in_what_is_printed(self, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUDO_ALL", "hunter2")
        built = plan([M1], "ssh: {user: admin, sudoPassword: {env: SUDO_ALL}}")
        assert built.hosts[0].ssh.sudo_password == "hunter2"
        assert "hunter2" not in repr(built)


class TestAddresses:
    def test_the_private_address_is_the_address_unless_given(self, plan: Plan) -> None:
        named = "name: w1, address: w1.example.com, privateAddress: 192.168.0.5, roles: [worker]"
        first, second = plan([M1, named]).hosts
        assert (first.address, first.private_address) == ("10.0.0.11", IPv4Address("10.0.0.11"))
        assert (second.address, second.private_address) == ("w1.example.com", IPv4Address("192.168.0.5"))

    def test_service_addresses(self, plan: Plan) -> None:
        built = plan([M1], "network: {serviceCIDR: 172.20.16.0/20}")
        assert built.kubernetes_service_ip == IPv4Address("172.20.16.1")
        assert built.dns_service_ip == IPv4Address("172.20.16.10")

    def test_without_an_endpoint_the_first_master_serves_the_operator(self, plan: Plan) -> None:
        built = plan([W1, M1], "api: {port: 7443}")
        assert built.api_endpoint == "10.0.0.11:7443"
        assert built.node_api_endpoint == "127.0.0.1:7443"

    def test_an_ipv6_address_stands_in_brackets(self, plan: Plan) -> None:
        built = plan(['name: m1, address: "fd00::1", privateAddress: 10.0.0.1, roles: [master]'])
        assert built.api_endpoint == "[fd00::1]:6443"

    @pytest.mark.parametrize(
        ("given", "meant"), [("api.example.com", "api.example.com:6443"), ("192.0.2.1:443", "192.0.2.1:443")]
    )
    def test_a_given_endpoint_serves_everybody(self, plan: Plan, given: str, meant: str) -> None:
        built = plan([M1, W1], f'api: {{endpoint: "{given}", port: 7443}}')
        assert built.api_endpoint == meant
        assert built.node_api_endpoint == meant
        assert meant.rpartition(":")[0] in built.api_sans

    def test_a_virtual_ip_serves_the_operator_and_no_node(self, plan: Plan) -> None:
        built = plan([M1, W1], "api: {virtualIP: 10.0.0.100, port: 7443}")
        assert built.api_endpoint == "10.0.0.100:7443"
        assert built.node_api_endpoint == "127.0.0.1:7443"
        assert "10.0.0.100" in built.api_sans
        master, worker = built.hosts
        assert (built.balances(worker), built.shares_virtual_ip(worker)) == (True, False)
        assert built.shares_virtual_ip(master)
        assert "virtual_ip" in built.package_purposes(master)
        assert "virtual_ip" not in built.package_purposes(worker)

    def test_a_name_for_a_virtual_ip(self, plan: Plan) -> None:
        built = plan([M1, W1], "api: {virtualIP: 10.0.0.100, endpoint: api.example.com}")
        assert built.api_endpoint == built.node_api_endpoint == "api.example.com:6443"
        assert {"10.0.0.100", "api.example.com"} <= set(built.api_sans)

    def test_api_sans(self, plan: Plan) -> None:
        built = plan(
            [M1],
            "network: {serviceCIDR: 172.20.16.0/20, dnsDomain: k8s.example.com}",
            "api: {extraSANs: [api.example.com, localhost, 192.0.2.1]}",
        )
        assert built.api_sans == (
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.k8s.example.com",
            "localhost",
            "172.20.16.1",
            "127.0.0.1",
            "api.example.com",
            "192.0.2.1",
        )


class TestRelease:
    def test_it_is_the_one_asked_for(self, plan: Plan) -> None:
        built = plan([M1], "runtime: {name: containerd}", version="1.35.9")
        assert (built.release.version, built.release.arch) == ("1.35.9", "amd64")

    def test_hosts_of_two_architectures(self, plan: Plan) -> None:
        built = plan([M1, W1.replace("roles:", "arch: arm64, roles:")])
        assert [host.arch for host in built.hosts] == ["amd64", "arm64"]
        assert {arch: each.arch for arch, each in built.releases.items()} == {
            "amd64": "amd64",
            "arm64": "arm64",
        }
        assert built.release is built.releases["amd64"]
        assert built.releases["arm64"].minor == built.release.minor

    def test_hosts_of_another_architecture(self, plan: Plan) -> None:
        built = plan([M1.replace("roles:", "arch: arm64, roles:")])
        assert list(built.releases) == [built.release.arch] == ["arm64"]


def test_building_creates_nothing(plan: Plan, tmp_path: Path) -> None:
    plan([M1])
    assert [file.name for file in tmp_path.iterdir()] == ["cluster.yaml"]


def test_the_same_file_gives_the_same_plan(plan: Plan, tmp_path: Path) -> None:
    first = plan([M1, W1])
    file = tmp_path / "cluster.yaml"
    assert build_plan(load_cluster(file), file) == first

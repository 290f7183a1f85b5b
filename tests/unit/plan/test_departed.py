"""Hosts that cluster.yaml lost are still known."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from k8sbootstrap.config.load import load_cluster
from k8sbootstrap.config.past_hosts import PastHost, forget, remember, remembered
from k8sbootstrap.errors import ConfigError, StateError
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.departed import departed, with_departed
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State
from tests.cluster_yaml import cluster_yaml

THREE = ("m1", "m2", "m3", "w1, labels: {disk: ssd}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cluster.yaml"


@pytest.fixture
def state(file: Path) -> State:
    state = State.beside(file, "demo")
    state.create()
    return state


def write(file: Path, *hosts: str) -> ClusterPlan:
    file.write_text(cluster_yaml(*hosts))
    return load_plan(file)


def keep(state: State, plan: ClusterPlan) -> None:
    configs = {host.name: host for host in plan.config.hosts}
    remember(state, [PastHost(configs[host.name], host.is_etcd) for host in plan.hosts])


def test_hosts_come_back_as_they_were(file: Path, state: State) -> None:
    whole = write(file, *THREE)
    keep(state, whole)
    plan = write(file, "m1")
    assert list(departed(plan, file)) == ["m2", "m3", "w1"]
    assert with_departed(plan, file, ["m1", "w9"]) is plan
    back = with_departed(plan, file, ["m2", "w1"])
    assert [host.name for host in back.hosts] == ["m1", "m2", "w1"]
    assert back.hosts[1:] == (whole.hosts[1], whole.hosts[3])
    assert state.hosts.stat().st_mode & 0o777 == 0o600


def test_a_member_comes_back_as_a_member(file: Path, state: State) -> None:
    """Also where etcd was on masters, and is on hosts of its own now."""
    keep(state, write(file, "m1", "m2", "m3"))
    plan = write(file, "m1", "e1")
    assert with_departed(plan, file, ["m2"]).hosts[-1].is_etcd


def test_what_has_left_is_forgotten(file: Path, state: State) -> None:
    plan = write(file, *THREE)
    keep(state, plan)
    forget(state, ["m2", "w9"])
    assert list(remembered(state)) == ["m1", "m3", "w1"]
    keep(state, plan)
    assert list(remembered(state)) == ["m1", "m2", "m3", "w1"]


@pytest.mark.parametrize("address", ["address: 10.0.0.12", "address: 192.0.2.1, privateAddress: 10.0.0.12"])
def test_a_host_whose_address_another_one_has_now(file: Path, state: State, address: str) -> None:
    """Else what is done to it would be done to the other one."""
    keep(state, write(file, "m1", "m2", "m3"))
    assert remembered(state)["m2"].host.cluster_address == IPv4Address("10.0.0.12")
    plan = write(file, "m1", f"name: w7, roles: [worker], {address}")
    with pytest.raises(StateError, match=r"m2 can't be reached any more: w7 in cluster\.yaml has"):
        with_departed(plan, file, ["m2"])


def test_a_damaged_file(file: Path, state: State) -> None:
    plan = write(file, "m1")
    state.hosts.write_text("{")
    with pytest.raises(StateError, match=r"hosts\.json is damaged"):
        departed(plan, file)


def test_an_even_number_of_members_that_run_already(file: Path, state: State) -> None:
    """They are what is left of three; a new one would make an even number out of an odd one."""
    with pytest.raises(ConfigError, match="2 etcd members tolerate no more failures than 1"):
        write(file, "m1", "m2", "w1")
    keep(state, write(file, "m1", "m2", "m3", "w1"))
    write(file, "m1", "m2", "w1")
    write(file, "m1", "m2", "w1", "w2")
    for hosts in (("m1", "m4"), ("m1", "m2", "m3", "m4")):
        with pytest.raises(ConfigError, match="etcd members tolerate no more failures than"):
            write(file, *hosts)
    forget(state, ["m3"])
    write(file, "m1", "m2")
    forget(state, ["m2"])
    with pytest.raises(ConfigError):
        load_cluster(file)


def test_workers_are_no_members(file: Path, state: State) -> None:
    keep(state, write(file, "m1", "w1"))
    file.write_text(cluster_yaml("m1", "w1").replace("[worker]", "[master]"))
    with pytest.raises(ConfigError, match="2 etcd members"):
        load_cluster(file)

"""Certificates of hosts and of this machine: which there are, and how long they last."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.config.load import load_cluster
from k8sbootstrap.errors import HostError, StateError
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.pki import kubeconfig, x509
from k8sbootstrap.pki.table import SERVER, Subject
from k8sbootstrap.plan.build import build_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State
from k8sbootstrap.survey.certificates import HERE, ON_HOSTS, Certificates, look, read
from tests.cluster_yaml import cluster_yaml
from tests.unit.hosts.sessions import ScriptedSession

KEY = x509.new_key()
CA = x509.Pair(x509.make_authority("kubernetes", KEY), KEY)
LEAF = x509.issue(
    Subject("kube-apiserver", ("group",), SERVER, frozenset({"master1", "10.0.0.11", "kubernetes"})), CA
)
NOW = LEAF.certificate.not_valid_after_utc - dt.timedelta(days=10, hours=5)


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    file = tmp_path / "cluster.yaml"
    file.write_text(cluster_yaml("master1", "worker1"))
    return build_plan(load_cluster(file), file)


@pytest.fixture
def state(tmp_path: Path) -> State:
    made = State(tmp_path / ".k8sbootstrap" / "demo")
    made.create()
    return made


def pem(pair: x509.Pair) -> str:
    return pair.certificate_pem.decode()


Find = Callable[[dict[str, Any]], Certificates]


@pytest.fixture
def find(plan: ClusterPlan, state: State) -> Find:
    """Asks hosts that have these files: host to path to content, or None where it is lost."""

    def run(files: dict[str, Any]) -> Certificates:
        def reply(host: str, _command: str, stdin: str) -> RunAnswer:
            assert json.loads(stdin.partition("\n")[0])["certificates"] == list(ON_HOSTS)
            if files[host] is None:
                raise HostError(f"{host}: no route")
            answer = {"http": {}, "run": {}, "certificates": files[host]}
            return RunAnswer(0, json.dumps(answer), "")

        with Pool(lambda target: ScriptedSession(target, reply)) as pool:
            return look(plan, pool, state, lambda: NOW)

    return run


def test_what_a_certificate_says() -> None:
    (found,) = read("master1", "/etc/a.crt", pem(LEAF), NOW)
    assert (found.host, found.path, found.issuer, found.authority) == (
        "master1",
        "/etc/a.crt",
        "kubernetes",
        False,
    )
    assert set(found.subject.split(",")) == {"CN=kube-apiserver", "O=group"}
    assert found.sans == ("kubernetes", "master1", "10.0.0.11")
    assert found.days_left == 10


def test_a_file_with_several_and_one_with_none() -> None:
    both = read("m", "/x", pem(LEAF) + pem(CA), NOW)
    assert [each.authority for each in both] == [False, True]
    assert read("m", "/x", "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n", NOW) == []
    assert read("m", "/x", "nothing", NOW) == []


def test_all_are_found_the_first_to_expire_at_the_top(find: Find, state: State) -> None:
    state.pki.mkdir()
    (state.pki / "ca.crt").write_text(pem(CA))
    state.kubeconfig.write_bytes(
        kubeconfig.render(
            cluster="demo", user="admin", server="x:1", ca_pem=CA.certificate_pem, pair=replace(LEAF)
        )
    )
    found = find({"master1": {"/etc/a.crt": pem(LEAF)}, "worker1": {"/etc/ca.crt": pem(CA)}})
    assert [(each.host, each.authority) for each in found.found] == [
        ("master1", False),
        (HERE, False),
        (HERE, True),
        ("worker1", True),
    ]
    assert found.lost == {}
    assert [each.host for each in found.expiring(11)] == ["master1", HERE]
    assert found.expiring(10) == ()


def test_a_lost_host_is_named(find: Find) -> None:
    found = find({"master1": {}, "worker1": None})
    assert "worker1: no route" in found.lost["worker1"]


def test_a_damaged_kubeconfig_is_named(find: Find, state: State) -> None:
    state.kubeconfig.write_text("clusters: []\n")
    with pytest.raises(StateError, match=r"admin\.kubeconfig is damaged"):
        find({"master1": {}, "worker1": {}})


def test_names_control_no_terminal() -> None:
    evil = x509.issue(Subject("a\x1b[2Jb"), CA)
    (found,) = read("m", "/x\x1b", pem(evil), NOW)
    assert "\x1b" not in found.subject + found.path

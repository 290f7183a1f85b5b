import stat

import pytest
import yaml

from k8sbootstrap.actions.api_access import Way
from k8sbootstrap.cli import kubeconfig as cli
from k8sbootstrap.pki import operator_kubeconfig
from k8sbootstrap.state import State
from tests.cluster_yaml import cluster_yaml

CLUSTER = cluster_yaml("m1", "w1")
ADMIN = """\
apiVersion: v1
kind: Config
clusters: [{name: demo, cluster: {server: "https://192.0.2.11:6443", certificate-authority-data: eA==}}]
users: [{name: kubernetes-admin, user: {token: abc}}]
contexts: [{name: kubernetes-admin@demo, context: {cluster: demo, user: kubernetes-admin}}]
current-context: kubernetes-admin@demo
"""


@pytest.fixture(autouse=True)
def answering(monkeypatch):
    """Masters whose API answers this machine; none at first. test_api_access.py asks real servers."""
    servers = []

    def living(_plan, text):
        return Way(operator_kubeconfig.with_server(text, servers[0]), "m2") if servers else None

    monkeypatch.setattr(cli, "living", living)
    return servers


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    state = State.beside(path, "demo")
    state.create()
    state.kubeconfig.write_text(ADMIN)
    return path


def test_it_is_printed_as_it_is_where_nothing_answers(run, file):
    ran = run("-f", str(file), "kubeconfig")
    assert (ran.code, ran.out) == (0, ADMIN)
    assert "no API server answers this machine; the file names 192.0.2.11:6443" in ran.err


def test_it_names_a_master_that_answers(run, file, answering):
    answering.append("192.0.2.12:6443")
    ran = run("-f", str(file), "kubeconfig")
    assert yaml.safe_load(ran.out)["clusters"][0]["cluster"]["server"] == "https://192.0.2.12:6443"
    assert ran.err == "Note: the file names 192.0.2.12:6443: 192.0.2.11:6443 does not answer.\n"
    answering[0] = "192.0.2.11:6443"
    assert run("-f", str(file), "kubeconfig").err == ""


def test_a_damaged_one_is_named(run, file):
    State.beside(file, "demo").kubeconfig.write_text("clusters: []\n")
    ran = run("-f", str(file), "kubeconfig")
    assert ran.code == 9
    assert "the admin kubeconfig in the state directory is damaged" in ran.err


def test_it_is_written_for_its_owner_alone(run, file, tmp_path):
    target = tmp_path / "admin.yaml"
    ran = run("-f", str(file), "kubeconfig", "--output", str(target))
    assert ran.code == 0
    assert target.read_text() == ADMIN
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert "abc" not in ran.out


def test_it_is_merged_where_kubectl_looks(run, file, tmp_path, monkeypatch):
    target = tmp_path / "mine"
    monkeypatch.setenv("KUBECONFIG", str(target))
    ran = run("-f", str(file), "kubeconfig", "--merge")
    assert ran.code == 0
    assert "kubernetes-admin@demo" in ran.out
    assert yaml.safe_load(target.read_text())["current-context"] == "kubernetes-admin@demo"


def test_it_is_merged_where_told(run, file, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "not-this-one"))
    target = tmp_path / "this-one"
    assert run("-f", str(file), "kubeconfig", "--merge", "--kubeconfig", str(target)).code == 0
    assert target.exists()
    assert not (tmp_path / "not-this-one").exists()


@pytest.mark.parametrize("options", [["--merge", "--output", "x"], ["--kubeconfig", "x"]])
def test_options_that_contradict_each_other_are_a_usage_error(run, file, options):
    assert run("-f", str(file), "kubeconfig", *options).code == 2


def test_without_one_the_next_step_is_said(run, file):
    State.beside(file, "demo").kubeconfig.unlink()
    ran = run("-f", str(file), "kubeconfig")
    assert ran.code == 9
    assert "k8sbootstrap up" in ran.err
    assert ran.out == ""

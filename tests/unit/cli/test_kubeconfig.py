import stat

import pytest
import yaml

from k8sbootstrap.state import State
from tests.cluster_yaml import cluster_yaml

CLUSTER = cluster_yaml("m1", "w1")
ADMIN = """\
apiVersion: v1
kind: Config
clusters: [{name: demo, cluster: {server: "https://192.0.2.11:6443"}}]
users: [{name: kubernetes-admin, user: {token: abc}}]
contexts: [{name: kubernetes-admin@demo, context: {cluster: demo, user: kubernetes-admin}}]
current-context: kubernetes-admin@demo
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    state = State.beside(path, "demo")
    state.create()
    state.kubeconfig.write_text(ADMIN)
    return path


def test_it_is_printed_as_it_is(run, file):
    ran = run("-f", str(file), "kubeconfig")
    assert (ran.code, ran.out) == (0, ADMIN)


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

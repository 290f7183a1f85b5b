"""The admin kubeconfig: read, written, merged; a file that is there is never lost."""

import stat
from pathlib import Path

import pytest
import yaml

from k8sbootstrap.errors import StateError
from k8sbootstrap.pki import operator_kubeconfig
from k8sbootstrap.state import State

ADMIN = """\
apiVersion: v1
kind: Config
clusters: [{name: kubernetes, cluster: {server: "https://192.0.2.11:6443", certificate-authority-data: Q0E=}}]
users: [{name: kubernetes-admin, user: {client-certificate-data: Q1JU, client-key-data: S0VZ}}]
contexts: [{name: any, context: {cluster: kubernetes, user: kubernetes-admin}}]
current-context: any
"""
OTHER = """\
apiVersion: v1
kind: Config
preferences: {colors: true}
clusters: [{name: work, cluster: {server: "https://work.example.com"}}]
users: [{name: me, user: {token: secret}}]
contexts: [{name: work, context: {cluster: work, user: me, namespace: team}}]
current-context: work
"""


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_merging_into_nothing_makes_a_kubeconfig(tmp_path):
    target = tmp_path / "new" / "config"
    assert operator_kubeconfig.merge(ADMIN, "demo", target) == "kubernetes-admin@demo"
    document = yaml.safe_load(target.read_text())
    assert document["current-context"] == "kubernetes-admin@demo"
    assert document["contexts"] == [
        {"name": "kubernetes-admin@demo", "context": {"cluster": "demo", "user": "kubernetes-admin@demo"}}
    ]
    assert document["clusters"][0]["cluster"]["server"] == "https://192.0.2.11:6443"
    assert document["users"][0]["user"]["client-key-data"] == "S0VZ"
    assert (document["apiVersion"], document["kind"]) == ("v1", "Config")
    assert mode(target) == 0o600


def test_merging_keeps_everything_else_and_replaces_its_own(tmp_path):
    target = tmp_path / "config"
    target.write_text(OTHER)
    target.chmod(0o644)
    operator_kubeconfig.merge(ADMIN, "demo", target)
    operator_kubeconfig.merge(ADMIN.replace("192.0.2.11", "192.0.2.99"), "demo", target)
    operator_kubeconfig.merge(ADMIN, "second", target)
    document = yaml.safe_load(target.read_text())
    assert document["preferences"] == {"colors": True}
    assert [item["name"] for item in document["clusters"]] == ["work", "demo", "second"]
    assert document["contexts"][0]["context"]["namespace"] == "team"
    assert document["users"][0]["user"]["token"] == "secret"
    assert document["clusters"][1]["cluster"]["server"] == "https://192.0.2.99:6443"
    assert mode(target) == 0o600
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"clusters: [", "not valid YAML (line "),
        (b"a: b\n\tc: d\n", "not valid YAML (line 2)"),
        (b"\xff\xfe\x00binary", "not valid YAML"),
        (b"just words", "not a kubeconfig"),
        (b"kind: Pod\n", "not a kubeconfig"),
        (b"clusters: {work: {}}\n", "clusters is not a list"),
        (b"users: [word]\n", "users is not a list"),
    ],
)
def test_what_is_no_kubeconfig_is_left_alone(tmp_path, content, words):
    target = tmp_path / "config"
    target.write_bytes(content)
    with pytest.raises(StateError) as error:
        operator_kubeconfig.merge(ADMIN, "demo", target)
    assert words in str(error.value)
    assert str(target) in str(error.value)
    assert error.value.hint
    assert target.read_bytes() == content
    assert list(tmp_path.iterdir()) == [target]


def test_a_symbolic_link_is_followed(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text(OTHER)
    link.symlink_to(real)
    operator_kubeconfig.merge(ADMIN, "demo", link)
    assert link.is_symlink()
    assert "demo" in real.read_text()


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "config"
    target.write_text(OTHER)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(operator_kubeconfig.os, "fsync", full)
    with pytest.raises(StateError, match="No space left on device"):
        operator_kubeconfig.merge(ADMIN, "demo", target)
    assert target.read_text() == OTHER
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"KUBECONFIG": "/a:/b"}, "/a"),
        ({"KUBECONFIG": ":/b"}, "/b"),
        ({"KUBECONFIG": ""}, "HOME/.kube/config"),
        ({}, "HOME/.kube/config"),
    ],
)
def test_the_default_target_is_kubectls(monkeypatch, environment, expected):
    monkeypatch.setenv("HOME", "/home/me")
    assert operator_kubeconfig.default_target(environment) == Path(expected.replace("HOME", "/home/me"))


def test_a_cluster_that_was_never_up_has_none(tmp_path):
    with pytest.raises(StateError, match=r"admin\.kubeconfig is missing") as error:
        operator_kubeconfig.read(State(tmp_path))
    assert "k8sbootstrap up" in error.value.hint

"""The file that init writes: valid, also with every suggestion in it uncommented."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from k8sbootstrap.config.load import load_cluster
from k8sbootstrap.config.template import Start, cluster_file_text

Write = Callable[[str], Path]
START = Start(name="demo", kubernetes_version="1.36.2", masters=("10.0.0.11",), workers=("10.0.0.21",))


def test_it_is_a_valid_cluster_file(write: Write, folder: Path) -> None:
    cluster = load_cluster(write(cluster_file_text(START, folder)))
    assert cluster.name == "demo"
    assert [(host.name, host.roles) for host in cluster.hosts] == [("m1", ["master"]), ("w1", ["worker"])]


def test_every_suggestion_in_it_is_valid(write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = folder / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_text("key")
    (home / ".ssh" / "id_ed25519").chmod(0o600)
    monkeypatch.setenv("HOME", str(home))
    text = cluster_file_text(START, folder)
    bold = re.sub(r"^( *)#(?! \S)", r"\1", text, flags=re.MULTILINE)
    cluster = load_cluster(write(bold))
    assert cluster.kubernetes.extra_args == {"kube-apiserver": {"event-ttl": "2h"}}
    assert cluster.hosts[2].taints
    assert cluster.ssh.sudo_password
    assert cluster.api.endpoint
    assert cluster.artifacts.sources
    assert cluster.proxy.no_proxy
    assert cluster.hooks


def test_one_address_with_several_roles_is_one_host(write: Write, folder: Path) -> None:
    start = replace(START, masters=("box=10.0.0.11",), workers=("10.0.0.11",), etcd=("10.0.0.13",))
    hosts = load_cluster(write(cluster_file_text(start, folder))).hosts
    assert [(host.name, host.roles) for host in hosts] == [("box", ["master", "worker"]), ("e1", ["etcd"])]


def test_names_and_numbers(write: Write, folder: Path) -> None:
    start = replace(START, workers=("10.0.0.21", "gpu=10.0.0.22", "10.0.0.23"))
    hosts = load_cluster(write(cluster_file_text(start, folder))).hosts
    assert [host.name for host in hosts] == ["m1", "w1", "gpu", "w3"]


def test_ssh_settings(write: Write, folder: Path) -> None:
    start = replace(START, ssh_user="admin", ssh_port=2222, ssh_key=folder / "good.key")
    ssh = load_cluster(write(cluster_file_text(start, folder))).ssh
    assert (ssh.user, ssh.port, ssh.key) == ("admin", 2222, folder / "good.key")


def test_a_relative_key_is_rewritten_for_the_folder_of_the_file(
    write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "folder")
    start = replace(START, ssh_key=Path("../good.key"))
    assert load_cluster(write(cluster_file_text(start, folder))).ssh.key == Path("good.key")


def test_values_that_yaml_would_misread_are_quoted(write: Write, folder: Path) -> None:
    start = replace(START, name="1234", masters=("yes=10.0.0.11",))
    cluster = load_cluster(write(cluster_file_text(start, folder)))
    assert (cluster.name, cluster.hosts[0].name) == ("1234", "yes")

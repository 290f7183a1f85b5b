"""Loading good files, files that are no files, and secrets."""

import os
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from k8sbootstrap.config.load import load_cluster, load_name, resolve_secret
from k8sbootstrap.config.models.artifacts import DirectorySource, MirrorSource
from k8sbootstrap.config.models.hosts import EnvSecret, FileSecret
from k8sbootstrap.errors import ConfigError
from tests.unit.config.config_examples import HEAD, HOSTS

Write = Callable[[str], Path]


def test_a_small_file_has_the_documented_defaults(write: Write) -> None:
    cluster = load_cluster(write(HEAD + HOSTS))
    assert cluster.runtime.name == "docker"
    assert cluster.network.pod_cidr == IPv4Network("10.244.0.0/16")
    assert cluster.network.service_cidr == IPv4Network("10.96.0.0/16")
    assert cluster.network.dns_domain == "cluster.local"
    assert cluster.api.port == 6443
    assert cluster.artifacts.upstream
    assert [host.name for host in cluster.hosts] == ["m1", "w1"]


def test_the_name_is_known_where_other_things_are_wrong(write: Write) -> None:
    assert load_name(write(HEAD + HOSTS)) == "demo"
    assert load_name(write("name: other\nssh: {key: gone}\nnonsense: 1\n")) == "other"


@pytest.mark.parametrize(
    "text", ["name: ../up\n", "name: 5\n", "- name: demo\n", "", "name: {\n", "name: a\n\n---\n"]
)
def test_no_name_is_every_problem_of_the_file(write: Write, text: str) -> None:
    with pytest.raises(ConfigError):
        load_name(write(text))


def test_every_key_can_be_given(write: Write) -> None:
    cluster = load_cluster(
        write("""\
apiVersion: k8sbootstrap/v1alpha1
kind: Cluster
name: demo
kubernetes:
  version: 1.36.2
  extraArgs:
    kube-apiserver: {event-ttl: 2h}
  extraConfig:
    kubelet: {maxPods: 50, systemReserved: {cpu: 100m}}
hosts:
  - name: m1
    address: m1.example.com
    privateAddress: 192.168.7.11
    roles: [master, worker]
    labels: {example.com/disk: ssd, empty: ""}
    taints: []
    ssh:
      user: admin
      port: 2222
      key: good.key
      bastion: {address: jump.example.com, port: 22, user: jump}
      sudo: true
      sudoPassword: {file: good.key}
  - {name: w1, address: 10.0.0.12, roles: [worker], taints: [{key: a, value: b, effect: NoExecute}]}
  - {name: e1, address: 10.0.0.13, roles: [etcd]}
ssh: {user: debian, sudoPassword: {env: SUDO_PASSWORD}}
runtime: {name: containerd}
network:
  plugin: routed
  podCIDR: 172.20.0.0/16
  serviceCIDR: 172.21.0.0/20
  nodeCIDRMaskSize: 25
  dnsDomain: k8s.example.com
api:
  endpoint: api.example.com:443
  port: 7443
  extraSANs: [api.example.com, "*.example.org", 192.0.2.1]
artifacts:
  upstream: false
  sources: [{directory: folder}, {url: "https://mirror.example.com/k8s"}]
proxy: {http: "http://proxy:3128", https: "http://proxy:3128", noProxy: [example.com]}
hooks:
  - {command: [logger, "a b"], before: [up, etcd], after: [kube_proxy], timeout: 5, onFailure: warn}
  - {command: [/bin/true], after: [reset]}
""")
    )
    first = cluster.hosts[0]
    assert first.ssh.sudo_password == FileSecret(file=Path("good.key"))
    assert first.ssh.bastion
    assert cluster.hooks[0].on_failure == "warn"
    assert (cluster.hooks[1].timeout, cluster.hooks[1].on_failure) == (60, "stop")
    assert first.ssh.bastion.user == "jump"
    assert cluster.ssh.sudo_password == EnvSecret(env="SUDO_PASSWORD")
    assert cluster.artifacts.sources == [
        DirectorySource(directory=Path("folder")),
        MirrorSource(url="https://mirror.example.com/k8s"),
    ]
    assert cluster.kubernetes.extra_config["kubelet"]["systemReserved"] == {"cpu": "100m"}
    assert cluster.api.extra_sans == ["api.example.com", "*.example.org", "192.0.2.1"]


def test_anchors_and_merge_keys_are_plain_yaml(write: Write) -> None:
    cluster = load_cluster(
        write(
            HEAD
            + """\
hosts:
  - &first
    name: m1
    address: 10.0.0.11
    roles: [master]
    labels: &labels {rack: a, row: b}
  - &worker
    <<: *first
    name: w1
    address: 10.0.0.21
    roles: [worker]
  - <<: *worker
    name: w2
    address: 10.0.0.22
    labels: {<<: *labels, row: c}
"""
        )
    )
    assert [(host.name, host.roles, host.labels["row"]) for host in cluster.hosts] == [
        ("m1", ["master"], "b"),
        ("w1", ["worker"], "b"),
        ("w2", ["worker"], "c"),
    ]


def test_loading_changes_neither_file_nor_folder(write: Write) -> None:
    file = write(HEAD + HOSTS)
    before = sorted(file.parent.rglob("*")), file.read_bytes()
    load_cluster(file)
    assert (sorted(file.parent.rglob("*")), file.read_bytes()) == before


def test_key_paths_start_at_the_file_and_not_at_the_working_directory(
    write: Write, folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(HEAD + HOSTS + "ssh: {key: good.key}\n")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert load_cluster(file).ssh.key == Path("good.key")
    (folder / "good.key").unlink()
    with pytest.raises(ConfigError, match="key cannot be read: No such file"):
        load_cluster(file)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_key_that_cannot_be_read_is_named(write: Write, folder: Path) -> None:
    (folder / "good.key").chmod(0)
    with pytest.raises(ConfigError, match="key cannot be read: Permission denied"):
        load_cluster(write(HEAD + HOSTS + "ssh: {key: good.key}\n"))


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_cluster(tmp_path / "cluster.yaml")
    assert str(caught.value) == (
        f"{tmp_path}/cluster.yaml: does not exist; "
        'name the file with -f, or write one with "k8sbootstrap init"'
    )


def test_a_folder_is_no_cluster_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_cluster(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_cluster(tmp_path / "c.yaml")


def test_control_characters(write: Write) -> None:
    with pytest.raises(ConfigError, match="is not valid YAML"):
        load_cluster(write("name: \x07"))


def test_a_date_that_does_not_exist(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"cluster\.yaml:1 is not valid YAML"):
        load_cluster(write("name: 2026-13-45"))


def test_endless_nesting(write: Write) -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        load_cluster(write("[" * 5000))


class TestResolveSecret:
    def test_from_the_environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("SUDO_PASSWORD", " pass word ")
        assert resolve_secret(EnvSecret(env="SUDO_PASSWORD"), tmp_path) == " pass word "

    @pytest.mark.parametrize("value", [None, ""])
    def test_an_unset_variable_is_named(
        self, value: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("SUDO_PASSWORD", raising=False)
        if value is not None:
            monkeypatch.setenv("SUDO_PASSWORD", value)
        with pytest.raises(ConfigError, match="SUDO_PASSWORD is not set; export it"):
            resolve_secret(EnvSecret(env="SUDO_PASSWORD"), tmp_path)

    def test_from_a_file_without_the_newline_at_its_end(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text(" pass\nword \r\n\n")
        assert resolve_secret(FileSecret(file=Path("secret")), tmp_path) == " pass\nword "

    def test_a_file_that_is_gone_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=f"{tmp_path}/secret: the secret cannot be read: No such file"):
            resolve_secret(FileSecret(file=Path("secret")), tmp_path)

    def test_the_content_is_never_in_the_message(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(b"hunter2\xff")
        with pytest.raises(ConfigError) as caught:
            resolve_secret(FileSecret(file=Path("secret")), tmp_path)
        assert "hunter2" not in str(caught.value)
        assert "is not UTF-8 text" in str(caught.value)

"""k8sbootstrap init."""

from pathlib import Path

import pytest

from k8sbootstrap.catalog.resolve import default_version
from k8sbootstrap.config.load import load_cluster


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_first_example_writes_a_valid_file(run, folder: Path) -> None:
    ended = run("init", "--master", "10.0.0.11", "--worker", "10.0.0.21", "--worker", "gpu1=10.0.0.22")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Wrote cluster.yaml.")
    cluster = load_cluster(folder / "cluster.yaml")
    assert [host.name for host in cluster.hosts] == ["m1", "w1", "gpu1"]
    assert cluster.kubernetes.version == default_version()


def test_every_option_is_honoured(run, folder: Path) -> None:
    (folder / "key").write_text("key")
    (folder / "key").chmod(0o600)
    (folder / "sub").mkdir()
    ended = run(
        *("-f", "sub/prod.yaml", "init", "--master", "10.0.0.11", "--etcd", "10.0.0.31", "--name", "prod"),
        *("--ssh-user", "admin", "--ssh-key", "key", "--ssh-port", "2222", "--kubernetes-version", "1.35.9"),
        *("--runtime", "containerd", "--pod-cidr", "172.20.0.0/16", "--service-cidr", "172.21.0.0/16"),
    )
    assert (ended.code, ended.err) == (0, "")
    cluster = load_cluster(folder / "sub" / "prod.yaml")
    assert (cluster.name, cluster.kubernetes.version, cluster.runtime.name) == (
        "prod",
        "1.35.9",
        "containerd",
    )
    assert (cluster.ssh.user, cluster.ssh.port, cluster.ssh.key) == ("admin", 2222, Path("../key"))
    assert (str(cluster.network.pod_cidr), str(cluster.network.service_cidr)) == (
        "172.20.0.0/16",
        "172.21.0.0/16",
    )
    assert [host.roles for host in cluster.hosts] == [["master"], ["etcd"]]


def test_a_release_that_is_newer_than_the_catalogue(run, folder: Path) -> None:
    assert run("init", "--master", "10.0.0.11", "--kubernetes-version", "1.36.99").code == 0
    assert load_cluster(folder / "cluster.yaml").kubernetes.version == "1.36.99"
    ended = run("init", "--master", "10.0.0.11", "--kubernetes-version", "1.38.0", "--force")
    assert ended.code == 2
    assert "1.38.0 is not in the release catalogue, which has 1.37, 1.36, 1.35, 1.34" in ended.err


def test_it_replaces_nothing_unless_forced(run, folder: Path) -> None:
    (folder / "cluster.yaml").write_text("precious")
    ended = run("init", "--master", "10.0.0.11")
    assert ended.code == 2
    assert "cluster.yaml already exists. Add --force" in ended.err
    assert (folder / "cluster.yaml").read_text() == "precious"
    assert run("init", "--master", "10.0.0.11", "--force").code == 0
    assert load_cluster(folder / "cluster.yaml")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "--master"),
        (["--master", "10.0.0.11", "--master", "10.0.0.12"], "have 1 or 3 masters"),
        (["--master", "10.0.0.11", "--worker", "m1=10.0.0.21"], "hosts[1].name: m1 is also used by hosts[0]"),
        (["--master", "10.244.0.11"], "hosts[0].address: 10.244.0.11 is inside podCIDR"),
        (
            ["--master", "10.0.0.11", "--kubernetes-version", "1.99.0"],
            "kubernetes.version: Kubernetes 1.99.0 is not",
        ),
        (["--master", "10.0.0.11", "--ssh-key", "no-such"], "ssh.key: "),
        (["--master", "M1=10.0.0.11"], "is not a valid name"),
    ],
)
def test_options_that_make_no_cluster_write_no_file(args, said, run, folder: Path) -> None:
    ended = run("init", *args)
    assert ended.code == 2
    assert said in ended.err
    assert not list(folder.iterdir())

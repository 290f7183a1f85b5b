"""k8sbootstrap certs renew: bad input is refused before any host is asked."""

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["worker2", "--yes"], "cluster.yaml has no host worker2; it has master1, worker1"),
        ([], "This renews certificates. There is no terminal to ask on: add --yes to confirm."),
        (["--all", "--less-than", "5", "--yes"], "--all and --less-than cannot be used together."),
        (["--less-than", "0"], "0 is not in the range"),
        (["--less-than", "x"], "'x' is not a valid integer range"),
    ],
)
def test_bad_input(run, folder: Path, args: list[str], said: str) -> None:
    ended = run("certs", "renew", *args)
    assert (ended.code, ended.out) == (2, "")
    assert said in " ".join(ended.err.split())
    assert not (folder / ".k8sbootstrap").exists()


def test_a_mistake_in_cluster_yaml_comes_first(run, wrong_role: str) -> None:
    ended = run("certs", "renew", "worker1", "--yes")
    assert (ended.code, ended.out, ended.err) == (3, "", wrong_role)


def test_hosts_that_do_not_answer(run, folder: Path) -> None:
    ended = run("certs", "renew", "--yes", "--accept-new-host-keys")
    assert ended.code == 5
    assert "Traceback" not in ended.err
    assert not list((folder / ".k8sbootstrap/demo").rglob("*.crt"))

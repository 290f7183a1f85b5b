"""k8sbootstrap remove: bad input is refused before any host is asked."""

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "Name the hosts to remove. cluster.yaml has master1, worker1."),
        (
            ["worker2"],
            "cluster.yaml has no host worker2; it has master1, worker1. If worker2 was taken out of",
        ),
        (["worker1", "worker1"], "worker1 is given twice"),
        (["worker1"], "This removes hosts. There is no terminal to ask on: add --yes to confirm."),
        (["worker1", "-o", "json"], "No such option"),
    ],
)
def test_bad_input(run, folder: Path, args: list[str], said: str) -> None:
    ended = run("remove", *args)
    assert (ended.code, ended.out) == (2, "")
    assert said in " ".join(ended.err.split())
    assert not (folder / ".k8sbootstrap").exists()


def test_a_mistake_in_cluster_yaml_comes_first(run, wrong_role: str) -> None:
    ended = run("remove", "worker1", "--yes")
    assert (ended.code, ended.out, ended.err) == (3, "", wrong_role)


def test_hosts_that_do_not_answer(run, folder: Path) -> None:
    ended = run("remove", "master1", "worker1", "--yes")
    assert ended.code == 4
    assert "Nothing was changed." in ended.err
    assert not list((folder / ".k8sbootstrap/demo").rglob("*.crt"))

"""up --prune, and remove of hosts that cluster.yaml does not name any more."""

from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.cli import departed as pruning
from k8sbootstrap.config.past_hosts import PastHost, remember
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.state import State
from tests.cluster_yaml import cluster_yaml


@pytest.fixture
def without_worker2(folder: Path) -> State:
    """cluster.yaml lost a host that the state directory knows."""
    file = folder / "cluster.yaml"
    file.write_text(cluster_yaml("master1", "worker1", "worker2"))
    state = State.beside(file, "demo")
    state.create()
    remember(state, [PastHost(host, is_etcd=False) for host in load_plan(file).config.hosts])
    file.write_text(cluster_yaml("master1", "worker1"))
    return state


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--prune"], "--prune removes hosts. There is no terminal to ask on: add --yes."),
        (["--prune", "--yes", "--limit", "worker1"], "--prune removes hosts, and --limit changes only one"),
    ],
)
def test_bad_input(run, folder: Path, args: list[str], said: str) -> None:
    (folder / "cluster.yaml").write_text(cluster_yaml("master1", "worker1"))
    ended = run("up", *args)
    assert (ended.code, ended.out) == (2, "")
    assert said in " ".join(ended.err.split())
    assert not (folder / ".k8sbootstrap").exists()


@pytest.mark.parametrize("args", [["up", "--prune"], ["remove", "worker2"], ["remove", "worker2", "--dead"]])
def test_the_host_is_asked_for(run, without_worker2: State, args: list[str]) -> None:
    ended = run(*args, "--yes")
    assert (ended.code, "worker2" in ended.err or "no API server" in ended.err) == (4, True)
    assert "Nothing was changed." in ended.err
    assert not (without_worker2.pki / "ca.crt").exists()


def test_a_host_that_nobody_knows(run, without_worker2: State) -> None:
    without_worker2.hosts.unlink()
    ended = run("remove", "worker2", "--yes")
    assert ended.code == 2
    assert "the state directory does not know it" in " ".join(ended.err.split())


def test_without_such_hosts_it_is_up_alone(
    run, folder: Path, without_worker2: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "cluster.yaml").write_text(cluster_yaml("master1", "worker1", "worker2"))

    def no_removal(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(pruning, "run_remove", no_removal)
    run("up", "--prune", "--yes")
    (record,) = without_worker2.runs.iterdir()
    assert "k8sbootstrap up" in (record / "events.jsonl").read_text()

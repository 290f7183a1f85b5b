"""k8sbootstrap reset: it asks, runs its playbook, and says how that went."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.config.past_hosts import PastHost, remember, remembered
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.run import ansible, lock
from k8sbootstrap.state import State

QUESTION = "Destroy cluster demo on master1, worker1, with everything that runs on it?"


@pytest.fixture
def played(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What Ansible was given, if anything; "failures" is how many tasks fail on worker1."""
    seen: dict[str, Any] = {"failures": 0}
    task = {"phase": "reset", "task": "Reset the host", "role": "", "action": "host_reset", "seconds": 1.0}

    def run_playbook(playbook: Path, **how: Any) -> int:
        seen.update(playbook=playbook.name, hosts=[host.name for host in how["hosts"]])
        seen.update(inventory=(how["inventory"] / "hosts.yml").read_text())
        failure = {"msg": "/var/lib/etcd is busy"} if seen["failures"] else None
        status = "failed" if failure else "ok"
        for event in (
            {"kind": "play_started", "phase": "reset", "play": "Reset", "hosts": seen["hosts"]},
            {"kind": "task_result", **task, "host": "master1", "status": "changed"},
            {"kind": "task_result", **task, "host": "worker1", "status": status, "failure": failure},
            {
                "kind": "stats",
                "hosts": {"master1": {"changed": 1}, "worker1": {"failures": seen["failures"]}},
            },
        ):
            how["on_line"](json.dumps({"v": 1, "time": 1.0} | event))
        return 2 if failure else 0

    monkeypatch.setattr(ansible, "run_playbook", run_playbook)
    return seen


def test_yes_asks_nobody(run, played: dict[str, Any]) -> None:
    ended = run("reset", "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert QUESTION not in ended.out
    assert ended.out.endswith("Reset: 1 of 2 hosts had something to remove.\n")
    assert (played["playbook"], played["hosts"]) == ("reset.yml", ["master1", "worker1"])
    assert "master1" in played["inventory"]


def test_what_is_destroyed_is_named_before(run, typed: Callable[[str], None], played: dict[str, Any]) -> None:
    typed("y\n")
    ended = run("reset")
    assert ended.code == 0
    assert ended.out.startswith(f"{QUESTION} [y/N]: ")
    assert "playbook" in played


def test_a_host_that_was_taken_out_of_cluster_yaml_is_named_and_not_touched(
    run, played: dict[str, Any], folder: Path
) -> None:
    state = State.beside(folder / "cluster.yaml", "demo")
    state.create()
    host = load_plan(folder / "cluster.yaml").config.hosts[1].model_copy(update={"name": "worker2"})
    remember(state, [PastHost(host, is_etcd=False)])
    ended = run("reset", "--yes")
    assert ended.code == 0
    assert "Not in cluster.yaml any more, and so not reset: worker2." in ended.err
    assert played["hosts"] == ["master1", "worker1"]
    assert set(remembered(state)) == {"worker2"}


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_who_does_not_say_yes_changes_nothing(
    run, typed: Callable[[str], None], played: dict[str, Any], folder: Path, answer: str
) -> None:
    typed(answer)
    ended = run("reset")
    assert ended.code == 130
    assert ended.err.strip() == "Interrupted."
    assert "playbook" not in played
    assert not (folder / ".k8sbootstrap").exists()


def test_without_a_terminal_it_wants_to_be_told(run, played: dict[str, Any], folder: Path) -> None:
    ended = run("reset")
    assert (ended.code, ended.out) == (2, "")
    assert (
        "Error: This destroys the cluster. There is no terminal to ask on: add --yes to confirm.\n"
        in ended.err
    )
    assert "playbook" not in played
    assert not (folder / ".k8sbootstrap").exists()


def test_a_host_that_fails_is_named(run, played: dict[str, Any]) -> None:
    played["failures"] = 1
    ended = run("reset", "-y")
    assert ended.code == 5
    assert "1 of 2 hosts failed" in ended.err
    assert "worker1" in ended.err
    assert "/var/lib/etcd is busy" in ended.err
    assert "hosts had something" not in ended.out


def test_not_while_the_cluster_is_being_changed(run, played: dict[str, Any], folder: Path) -> None:
    state = folder / ".k8sbootstrap/demo"
    state.mkdir(parents=True)
    with lock.hold(state / "lock", "k8sbootstrap up"):
        ended = run("reset", "--yes")
    assert ended.code == 7
    assert '"k8sbootstrap up"' in ended.err
    assert "playbook" not in played


def test_a_mistake_in_cluster_yaml_is_said_before_anything_is_asked(
    run, typed: Callable[[str], None], played: dict[str, Any], wrong_role: str
) -> None:
    typed("y\n")
    ended = run("reset")
    assert (ended.code, ended.out, ended.err) == (3, "", wrong_role)
    assert "playbook" not in played


@pytest.mark.parametrize("args", [["worker1"], ["--limit", "worker1"], ["-o", "json"]])
def test_it_takes_no_more_than_yes(run, played: dict[str, Any], args: list[str]) -> None:
    ended = run("reset", "--yes", *args)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Usage: k8sbootstrap reset")
    assert "playbook" not in played

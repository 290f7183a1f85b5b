"""k8sbootstrap up: options in, summary out."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.cli import up
from k8sbootstrap.errors import HostError, InterruptedRunError, LockedError, PreflightError, VerifyError
from k8sbootstrap.run.record import Summary, Timing
from tests.cluster_yaml import cluster_yaml

CLUSTER = cluster_yaml("name: master1, address: 10.0.0.11, roles: [master, worker]")
COUNT = {"ok": 8, "changed": 3, "skipped": 1, "failed": 0, "unreachable": False, "restarts": 0, "new": False}


def summary(changed: int) -> Summary:
    return Summary(
        id="20261124T020000Z-abcdef",
        command="k8sbootstrap up",
        outcome="ok",
        error="",
        started="2026-11-24T02:00:00+00:00",
        seconds=61.2,
        steps=(Timing("preflight", "Preflight", 2.0), Timing("verify", "Verify", 4.0)),
        phases=(Timing("etcd", "etcd", 9.5),),
        hosts={"master1": COUNT | {"changed": changed}},
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    return tmp_path


@pytest.fixture
def backups(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[Any]:
    """What was taken in of which backup, with which key; the file is there, its cluster.yaml too."""
    taken: list[Any] = []
    (folder / "b").write_bytes(b"x")
    (folder / "id").write_text("AGE-SECRET-KEY-1X\n")
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    (unpacked / "cluster.yaml").write_text(CLUSTER)

    @contextmanager
    def opened(file: Path, key: Any) -> Iterator[Any]:
        taken.append((file.name, key.identities))
        yield SimpleNamespace(folder=unpacked)

    monkeypatch.setattr(up, "opened", opened)
    monkeypatch.setattr(
        up, "take_in", lambda _backup, plan, file: taken.append((plan.config.name, file.name))
    )
    return taken


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What ``run_up`` was given; it returns or raises what is under "then"."""
    seen: dict[str, Any] = {"then": summary(3)}

    def run_up(_plan: Any, cluster_file: Path, options: RunOptions, _reporter: Any) -> Summary:
        seen.update(file=cluster_file, options=options)
        if isinstance(seen["then"], Exception):
            raise seen["then"]
        result: Summary = seen["then"]
        return result

    monkeypatch.setattr(up, "run_up", run_up)
    return seen


def test_options(run, given: dict[str, Any]) -> None:
    ended = run("up", "--accept-new-host-keys", "--ignore-preflight", "swap", "--ignore-preflight", "disk")
    assert ended.code == 0, ended.err
    assert given["options"] == RunOptions(
        accept_new_host_keys=True, ask=None, ignore_preflight=("swap", "disk")
    )


def test_a_backup_is_taken_in_first(run, given: dict[str, Any], backups: list[Any]) -> None:
    ended = run("up", "--restore", "b", "--identity", "id", "--yes")
    assert ended.code == 0, ended.err
    assert backups == [("b", ["AGE-SECRET-KEY-1X"]), ("demo", "cluster.yaml")]
    assert given["options"].restore
    assert "was written" not in ended.err


def test_a_folder_without_cluster_yaml_gets_that_of_the_backup(
    run, given: dict[str, Any], backups: list[Any], folder: Path
) -> None:
    (folder / "cluster.yaml").unlink()
    ended = run("up", "--restore", "b", "--identity", "id", "--yes")
    assert (ended.code, ended.err) == (0, "cluster.yaml was written: it is the one in b.\n")
    assert (folder / "cluster.yaml").read_text() == CLUSTER


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--restore", "b", "--yes"], "Say what decrypts it: --identity, --passphrase-file"),
        (["--restore", "b", "--identity", "id"], "There is no terminal to ask on: add --yes."),
        (["--restore", "b", "--limit", "master1", "--yes"], "leave out --limit and --prune"),
        (["--restore", "b", "--prune", "--yes"], "leave out --limit and --prune"),
        (["--identity", "id"], "decrypt the backup that --restore names"),
    ],
)
def test_restore_with_options_that_do_not_fit(
    run, given: dict[str, Any], backups: list[Any], args: list[str], said: str
) -> None:
    ended = run("up", *args)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
    assert backups == []
    assert "options" not in given


def test_summary_of_changes(run, given: dict[str, Any], folder: Path) -> None:
    lines = run("up").out.splitlines()
    assert "The cluster is up: 1 host, 3 tasks made changes." in lines
    assert "  master1: 3 changed, 8 ok" in lines
    times = [line.split() for line in lines if line.rstrip().endswith("s") and "." in line][:4]
    assert times == [["Preflight", "2.0s"], ["etcd", "9.5s"], ["Verify", "4.0s"], ["Total", "61.2s"]]
    assert f"Kubeconfig: {folder}/.k8sbootstrap/demo/admin.kubeconfig" in lines
    assert "Next:" in lines


@pytest.mark.parametrize(
    ("hosts", "line"),
    [
        ({"m1": {}, "w1": {}, "w2": {"new": True}}, "On the other 2 hosts: 0 restarts of services."),
        ({"m1": {"restarts": 1}, "w2": {"new": True}}, "On the other 1 host: 1 restart of services."),
        ({"m1": {"new": True}, "w1": {"new": True}}, ""),
        ({"m1": {"restarts": 2}, "w1": {}}, ""),
    ],
)
def test_restarts_beside_new_hosts(
    run, given: dict[str, Any], hosts: dict[str, dict[str, Any]], line: str
) -> None:
    given["then"] = replace(summary(3), hosts={name: COUNT | counts for name, counts in hosts.items()})
    found = [each for each in run("up").out.splitlines() if "of services" in each]
    assert found == ([line] if line else [])


def test_summary_of_no_changes(run, given: dict[str, Any]) -> None:
    given["then"] = summary(0)
    assert "Nothing to change: 1 host, 0 changed." in run("up").out


def test_json(run, given: dict[str, Any]) -> None:
    document = json.loads(run("up", "-o", "json").out)
    assert (document["outcome"], document["changed"]) == ("ok", 3)
    assert document["hosts"]["master1"]["ok"] == 8
    assert document["kubeconfig"].endswith("admin.kubeconfig")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PreflightError("swap is on", hint="turn it off"), 4),
        (HostError("worker1 failed", hint="fix it"), 5),
        (VerifyError("no node is Ready", hint="look at the kubelet"), 6),
        (LockedError("held by alice", hint="wait"), 7),
        (InterruptedRunError("interrupted", hint="run it again"), 130),
    ],
)
def test_exit_codes(run, given: dict[str, Any], error: HostError, code: int) -> None:
    given["then"] = error
    ended = run("up")
    assert (ended.code, ended.out) == (code, "")
    assert ended.err == f"{error}\nNext: {error.hint}\n"


def test_a_wrong_configuration_reaches_no_host(run, given: dict[str, Any], folder: Path) -> None:
    (folder / "cluster.yaml").write_text(CLUSTER.replace("master1", "Master_1"))
    ended = run("up")
    assert ended.code == 3
    assert "cluster.yaml:6 hosts[0].name" in ended.err
    assert "options" not in given


def test_preflight_checks_are_ignored_by_their_own_names(run, given: dict[str, Any]) -> None:
    ended = run("up", "--ignore-preflight", "swaps")
    assert ended.code == 2
    assert "'swap'" in ended.err
    assert "options" not in given


def test_unknown_option_is_a_usage_error(run, given: dict[str, Any]) -> None:
    assert run("up", "--yolo").code == 2

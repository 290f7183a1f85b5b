"""Every way a run can end."""

import io
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from rich.console import Console

from k8sbootstrap import __version__
from k8sbootstrap.errors import (
    ConfigError,
    HostError,
    InterruptedRunError,
    K8sBootstrapError,
    LockedError,
    StateError,
)
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.run import ansible, lock
from k8sbootstrap.run.board import Board
from k8sbootstrap.run.events import RunStarted, parse
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.session import check_outcome, running
from k8sbootstrap.state import State

from .conftest import DATA, WritePlaybook

LINES = (DATA / "events.jsonl").read_text().splitlines()
REFUSED = "Failed to connect to the host via ssh: ssh: connect to host 127.0.0.1 port 1: Connection refused"
SPARED = [line for line in LINES if "unreachable" not in line and "failed" not in line]


@pytest.fixture
def reporter() -> Reporter:
    return Reporter(Console(file=io.StringIO(), soft_wrap=True), verbosity=2)


@pytest.fixture
def fake_ansible(monkeypatch: pytest.MonkeyPatch, inventory: Path) -> Callable[..., None]:
    """Has ansible-playbook say ``lines``, log ``log`` and end with ``code``."""

    def install(lines: list[str], code: int, log: str = "") -> None:
        def run_playbook(_playbook: Path, **how: Any) -> int:
            how["log"].write_text(log)
            for line in lines:
                how["on_line"](line)
            how["on_tick"]()
            return code

        monkeypatch.setattr(ansible, "run_playbook", run_playbook)

    return install


def last_summary(state: State) -> dict[str, Any]:
    run = max(state.runs.iterdir())
    document: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return document


def output(reporter: Reporter) -> str:
    assert isinstance(reporter.console.file, io.StringIO)
    return reporter.console.file.getvalue()


def test_a_good_run(
    state: State, reporter: Reporter, hosts: list[HostPlan], fake_ansible: Callable[..., None]
) -> None:
    stats = '{"v": 1, "kind": "stats", "time": 1795487898.233, "hosts": {"master1": {"ok": 3, "changed": 2}}}'
    fake_ansible([*SPARED, stats], 0, "PLAY RECAP\n")
    with running(state, "k8sbootstrap up", reporter) as run:
        with run.step("pki", "Certificates") as step:
            step.note("3 issued")
        run.playbook(ansible.playbook_path("site.yml"), hosts, run.state.inventory)
        with pytest.raises(RuntimeError):
            _ = run.result
    assert run.result.outcome == "ok"
    assert run.result.hosts["master1"]["changed"] == 2
    assert [timing.name for timing in run.result.steps] == ["pki"]
    assert [timing.name for timing in run.result.phases] == ["host", "etcd"]
    assert last_summary(state)["outcome"] == "ok"
    assert "Certificates: 3 issued" in output(reporter)
    assert "PLAY RECAP" in output(reporter)
    assert state.lock.read_text() == ""
    started = parse((run.record.directory / "events.jsonl").read_text().splitlines()[0])
    assert started == RunStarted(time=ANY, command="k8sbootstrap up", program=__version__)


def test_failed_hosts_are_all_named(
    state: State, reporter: Reporter, hosts: list[HostPlan], fake_ansible: Callable[..., None]
) -> None:
    fake_ansible(LINES, 4)
    with pytest.raises(HostError) as exc, running(state, "k8sbootstrap up", reporter) as run:
        run.playbook(ansible.playbook_path("site.yml"), hosts, run.state.inventory)
    assert exc.value.exit_code == 5
    assert str(exc.value).splitlines() == [
        "2 of 3 hosts failed; the others continued",
        'worker1 could not be reached at "Prepare" (Prepare hosts):',
        f"    {REFUSED}",
        'master2 failed at "Start the member" (etcd, role etcd):',
        "    sh -c 'echo Job for etcd.service failed >&2; exit 1' ended with code 1",
        "    Job for etcd.service failed",
    ]
    assert "run the same command again" in exc.value.hint
    assert str(run.record.log) in exc.value.hint
    assert last_summary(state)["error"] == str(exc.value)
    assert last_summary(state)["hint"] == exc.value.hint


@pytest.mark.parametrize(
    ("lines", "code", "how"),
    [
        ([], 4, "ended with code 4"),
        ([], 250, "ended with code 250"),
        (SPARED[:3], -9, "was killed by signal 9"),
        ([], 0, "ended with code 0"),  # it told nothing: whether hosts failed is not known
    ],
)
def test_ansible_itself_fails(tmp_path: Path, lines: list[str], code: int, how: str) -> None:
    log = tmp_path / "ansible.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)) + "[ERROR]: no such role\n")
    board = Board()
    for line in lines:
        event = parse(line)
        assert event is not None
        board.apply(event)
    with pytest.raises(K8sBootstrapError, match=how) as exc:
        check_outcome(code, board, log, 3)
    assert exc.value.exit_code == 1
    assert str(exc.value).endswith("[ERROR]: no such role")
    assert "line 50" not in str(exc.value)
    assert exc.value.hint == f"See its output in {log}."


def test_a_real_parse_error(
    state: State, reporter: Reporter, hosts: list[HostPlan], inventory: Path, playbook: WritePlaybook
) -> None:
    playbook("site.yml", "- hosts: all\n  tasks:\n    - nonsense: {}\n")
    with (
        pytest.raises(K8sBootstrapError, match="nonsense"),
        running(state, "k8sbootstrap up", reporter) as run,
    ):
        run.playbook(ansible.playbook_path("site.yml"), hosts, run.state.inventory)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(state: State, reporter: Reporter, number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def hear_it() -> None:
        with running(state, "k8sbootstrap up", reporter) as run, run.step("preflight", "Preflight"):
            os.kill(os.getpid(), number)
            signal.pause()

    with pytest.raises(InterruptedRunError) as exc:
        hear_it()
    assert exc.value.exit_code == 130
    assert str(exc.value) == '"k8sbootstrap up" was interrupted during: Preflight'
    assert "it continues from there" in exc.value.hint
    assert last_summary(state)["outcome"] == "interrupted"
    assert last_summary(state)["hint"] == exc.value.hint
    assert "Preflight: failed" in output(reporter)
    assert signal.getsignal(number) == before


def test_interrupted_in_a_phase(
    state: State, reporter: Reporter, hosts: list[HostPlan], inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_playbook(_playbook: Path, **how: Any) -> int:
        for line in LINES[:8]:
            how["on_line"](line)
        raise KeyboardInterrupt

    monkeypatch.setattr(ansible, "run_playbook", run_playbook)

    def hear_it() -> None:
        with running(state, "k8sbootstrap up", reporter) as run:
            with run.step("pki", "Certificates"):
                pass
            run.playbook(ansible.playbook_path("site.yml"), hosts, run.state.inventory)

    with pytest.raises(InterruptedRunError, match=r"during: etcd$"):
        hear_it()
    assert [phase["name"] for phase in last_summary(state)["phases"]] == ["host", "etcd"]


def test_nohup_stays_in_force(state: State, reporter: Reporter) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with running(state, "k8sbootstrap up", reporter):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert last_summary(state)["outcome"] == "ok"


@pytest.mark.parametrize("error", [StateError("no CA key"), ConfigError([]), ZeroDivisionError()])
def test_errors_pass_through_and_are_recorded(state: State, reporter: Reporter, error: Exception) -> None:
    with pytest.raises(type(error)), running(state, "k8sbootstrap up", reporter):
        raise error
    assert last_summary(state)["outcome"] == "failed"
    assert last_summary(state)["error"] == (str(error) or type(error).__name__)
    assert state.lock.read_text() == ""


def test_a_locked_cluster_has_no_new_run(state: State, reporter: Reporter) -> None:
    with (
        lock.hold(state.lock, "k8sbootstrap reset"),
        pytest.raises(LockedError, match="k8sbootstrap reset"),
        running(state, "k8sbootstrap up", reporter),
    ):
        pytest.fail("went on without the lock")
    assert not state.runs.exists()

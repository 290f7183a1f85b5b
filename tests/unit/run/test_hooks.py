"""Hooks around real runs of Ansible on this machine: when they run, what they read, what failures do."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from k8sbootstrap.errors import HookError, HostError, InterruptedRunError, LockedError, VerifyError
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.run import ansible, lock
from k8sbootstrap.run.events import Event, HookFinished, HookStarted, PhaseDue, PlayStarted, parse
from k8sbootstrap.run.hooks import hooked
from k8sbootstrap.run.live import LiveReporter
from k8sbootstrap.run.phase_gate import Gate
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.session import Run, running
from k8sbootstrap.state import State

from .conftest import WritePlaybook

Hook = dict[str, Any]
PHASES = ["etcd", "kubelet", "pod_network", "kube_proxy", "host"]
SITE = "".join(f"- ansible.builtin.import_playbook: {phase}.yml\n" for phase in PHASES)
PLAY = """\
- hosts: {hosts}
  gather_facts: false
  tasks:
    - name: Work
      ansible.builtin.shell: echo {phase} on {{{{ inventory_hostname }}}} >> {folder}/order{more}
"""
RECORD = """\
#!/bin/sh
echo "$1: $K8SBOOTSTRAP_EVENT $K8SBOOTSTRAP_PHASE" >> order
cat >> events.jsonl
echo >> events.jsonl
"""


@pytest.fixture
def reporter() -> Reporter:
    return Reporter(Console(file=io.StringIO(), soft_wrap=True))


@pytest.fixture
def make_plan(tmp_path: Path) -> Callable[..., ClusterPlan]:
    """A plan of a cluster with these hooks; ./record notes that it ran, and what it read."""
    (tmp_path / "record").write_text(RECORD)
    (tmp_path / "record").chmod(0o755)

    def make(*hooks: Hook) -> ClusterPlan:
        document = {
            "apiVersion": "k8sbootstrap/v1alpha1",
            "kind": "Cluster",
            "name": "demo",
            "kubernetes": {"version": "1.36.2"},
            "hosts": [
                {"name": "master1", "address": "10.0.0.11", "roles": ["master"]},
                {"name": "worker-1", "address": "10.0.0.21", "roles": ["worker"]},
            ],
            "hooks": list(hooks),
        }
        (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(document))
        return load_plan(tmp_path / "cluster.yaml")

    return make


@pytest.fixture
def go(  # noqa: PLR0917
    tmp_path: Path,
    state: State,
    hosts: list[HostPlan],
    inventory: Path,
    playbook: WritePlaybook,
    reporter: Reporter,
    make_plan: Callable[..., ClusterPlan],
) -> Callable[..., Run]:
    """Runs site.yml with hooks. In it worker-1 fails at the phase ``failing``."""

    def run_it(*hooks: Hook, failing: str = "", run: Callable[[Run], None] | None = None) -> Run:
        def play(phase: str, hosts: str) -> str:
            more = " && [ {{ inventory_hostname }} = master1 ]" if phase == failing else ""
            return PLAY.format(hosts=hosts, phase=phase, folder=tmp_path, more=more)

        playbook("etcd.yml", play("etcd", "master1:worker-1"))
        playbook("kubelet.yml", play("kubelet", "worker-1:!master1") + play("kubelet", "master1:worker-1"))
        playbook("pod_network.yml", play("pod_network", "all:!master1:!worker-1:!gone"))
        playbook("kube_proxy.yml", play("kube_proxy", "worker-1"))
        playbook("host.yml", play("host", "master1"))
        playbook("site.yml", SITE)
        plan = make_plan(*hooks)
        with (
            running(state, "k8sbootstrap up", reporter) as it,
            hooked(it, "up", plan, tmp_path / "cluster.yaml"),
        ):
            (
                run
                or (
                    lambda run: run.playbook(
                        ansible.playbook_path("site.yml"), hosts[:2], run.state.inventory
                    )
                )
            )(it)
        return it

    return run_it


def nothing(run: Run) -> None:
    """A run that does nothing."""


def hook(name: str, *command: str, **more: Any) -> Hook:
    return {"command": list(command or ("./record", name)), **more}


def order(folder: Path) -> list[str]:
    """What happened, in order; the hosts of a phase are one."""
    lines = (folder / "order").read_text().splitlines()
    return [name for name, _ in groupby(line.partition(" on ")[0] for line in lines)]


def read(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The events that ./record read."""
    events = map(json.loads, (folder / "events.jsonl").read_text().splitlines())
    return {(event["event"], event["phase"]): event for event in events}


def recorded(state: State) -> list[Event]:
    lines = (max(state.runs.iterdir()) / "events.jsonl").read_text().splitlines()
    return [event for line in lines if (event := parse(line))]


def output(reporter: Reporter) -> str:
    assert isinstance(reporter.console.file, io.StringIO)
    return reporter.console.file.getvalue()


def test_a_good_run(go: Callable[..., Run], tmp_path: Path, state: State) -> None:
    """One run for all that can be seen in it: Ansible takes seconds."""
    everywhere = [*PHASES, "up", "reset", "control_plane"]
    run = go(
        hook("a", before=everywhere, after=everywhere),
        hook("b", "sh", "-c", "exec ./record b; #", after=["etcd", "up"]),
    )
    assert order(tmp_path) == [
        "a: before up",
        "a: before etcd",
        "etcd",
        "a: after etcd",
        "b: after etcd",
        "a: before kubelet",
        "kubelet",
        "a: after kubelet",
        "a: before kube_proxy",
        "kube_proxy",
        "a: after kube_proxy",
        "a: before host",
        "host",
        "a: after host",
        "a: after up",
        "b: after up",
    ]
    check_events(read(tmp_path), run.record.directory, tmp_path)
    check_record(recorded(state))
    check_times(run)


def check_events(events: dict[tuple[str, str], dict[str, Any]], directory: Path, folder: Path) -> None:
    before = events["before", "kubelet"]
    assert before.pop("time")[:11] == datetime.now(UTC).isoformat()[:11]
    assert before == {
        "version": 1,
        "event": "before",
        "phase": "kubelet",
        "cluster": "demo",
        "cluster_file": str(folder / "cluster.yaml"),
        "run": directory.name,
        "run_directory": str(directory),
        "hosts": ["master1", "worker-1"],  # also those of its second play, in the inventory's order
    }
    after = events["after", "kubelet"]
    assert {key: value for key, value in after.items() if key in before} == before | {"event": "after"}
    assert after.keys() - before.keys() == {"time", "outcome", "seconds", "error", "results"}
    assert (after["outcome"], after["error"]) == ("ok", "")
    assert 0 < after["seconds"] < 30
    work = {"text": "Work", "kind": "", "action": "", "name": "", "causes": [], "why": []}
    count = {"ok": 0, "skipped": 0, "failed": 0, "unreachable": False, "restarts": 0, "new": False}
    assert after["results"] == {
        "master1": {**count, "changed": 1, "changes": [work]},
        "worker-1": {**count, "changed": 2, "changes": [work, work]},
    }
    whole = events["after", "up"]
    assert whole["hosts"] == ["master1", "worker-1"]
    assert {host: result["changed"] for host, result in whole["results"].items()} == {
        "master1": 3,
        "worker-1": 4,
    }
    assert whole["results"]["master1"]["changes"] == [work] * 3
    assert (whole["outcome"], events["before", "up"]["hosts"]) == ("ok", ["master1", "worker-1"])
    assert whole["seconds"] >= after["seconds"]


def check_record(events: list[Event]) -> None:
    finished = [event for event in events if isinstance(event, HookFinished)]
    assert [(event.command[-1], event.when, event.phase) for event in finished[:3]] == [
        ("a", "before", "up"),
        ("a", "before", "etcd"),
        ("a", "after", "etcd"),
    ]
    assert {(event.rc, event.failure, event.ignored) for event in finished} == {(0, "", False)}
    assert len([event for event in events if isinstance(event, HookStarted)]) == len(finished) == 12
    due = [event.phase for event in events if isinstance(event, PhaseDue)]
    assert due == PHASES
    times = [round(event.time, 3) for event in events]  # as Ansible's side rounds
    assert times == sorted(times)


def check_times(run: Run) -> None:
    """The hooks' own time is none of the phases'."""
    hooks = [event for event in recorded(run.state) if isinstance(event, HookStarted | HookFinished)]
    phases = list(run.board.phases.values())
    for phase in phases:
        assert phase.finished is not None
        for event in hooks:
            assert not phase.started < round(event.time, 3) < phase.finished  # as Ansible's side rounds


PARTS = {"first": ["host", "etcd"], "second": ["host", "etcd", "control_plane"], "last": ["etcd", "kubelet"]}
"""Playbooks of one run, as up --restore has them, with their phases."""


@pytest.fixture
def in_parts(hosts: list[HostPlan], playbook: WritePlaybook, tmp_path: Path) -> Callable[[Run], None]:
    """A run of these playbooks. The last one's phase etcd is for worker-1, too."""
    for name, phases in PARTS.items():
        folder = tmp_path / "data/playbooks" / name
        folder.mkdir()
        (folder / "callback_plugins").symlink_to(folder.parent / "callback_plugins")
        for phase in phases:
            those = "master1:worker-1" if name == "last" else "master1"
            text = PLAY.format(hosts=those, phase=f"{name} {phase}", folder=tmp_path, more="")
            playbook(f"{name}/{phase}.yml", text)
        site = "".join(f"- ansible.builtin.import_playbook: {phase}.yml\n" for phase in phases)
        playbook(f"{name}/site.yml", site)

    def run(it: Run) -> None:
        for name in PARTS:
            path = ansible.playbook_path("site.yml").parent / name / "site.yml"
            it.playbook(path, hosts[:2], it.state.inventory, is_part=name != "last")

    return run


def test_phases_in_parts(go: Callable[..., Run], tmp_path: Path, in_parts: Callable[[Run], None]) -> None:
    """Hooks run once for each: before its first part, and after its last."""
    phases = ["host", "etcd", "control_plane", "kubelet"]
    go(hook("a", before=phases, after=[*phases, "up"]), run=in_parts)
    assert order(tmp_path) == [
        "a: before host",
        "first host",
        "a: before etcd",
        "first etcd",
        "second host",
        "second etcd",
        "a: before control_plane",
        "second control_plane",
        "a: after host",
        "last etcd",
        "a: after etcd",
        "a: after control_plane",
        "a: before kubelet",
        "last kubelet",
        "a: after kubelet",
        "a: after up",
    ]
    events = read(tmp_path)
    assert events["before", "etcd"]["hosts"] == ["master1"]
    assert events["after", "etcd"]["hosts"] == ["master1", "worker-1"]
    assert events["after", "etcd"]["results"]["master1"]["changed"] == 3


def test_a_run_that_ends_between_two_parts(
    go: Callable[..., Run], tmp_path: Path, in_parts: Callable[[Run], None]
) -> None:
    def first_part(it: Run) -> None:
        path = ansible.playbook_path("site.yml").parent / "first/site.yml"
        it.playbook(path, [], it.state.inventory, is_part=True)
        raise HostError("no room for the data")

    with pytest.raises(HostError):
        go(
            hook("a", before=["etcd"], after=["etcd", "up"]),
            hook("", "false", after=["etcd"]),
            run=first_part,
        )
    assert order(tmp_path) == ["first host", "a: before etcd", "first etcd", "a: after etcd", "a: after up"]
    etcd = read(tmp_path)["after", "etcd"]
    assert (etcd["outcome"], etcd["error"]) == ("failed", "no room for the data")


def test_a_failed_phase(go: Callable[..., Run], tmp_path: Path) -> None:
    with pytest.raises(HostError):
        go(hook("a", before=PHASES, after=[*PHASES, "up"]), failing="etcd")
    assert order(tmp_path) == [
        "a: before etcd",
        "etcd",
        "a: after etcd",
        "a: before kubelet",
        "kubelet",
        "a: after kubelet",
        "a: before host",
        "host",
        "a: after host",
        "a: after up",
    ]  # kube_proxy is for worker-1 alone, which has failed
    events = read(tmp_path)
    etcd = events["after", "etcd"]
    assert etcd["outcome"] == "failed"
    assert etcd["error"].startswith('worker-1 failed at "Work" (etcd):\n')
    assert (etcd["results"]["worker-1"]["failed"], etcd["results"]["master1"]["changed"]) == (1, 1)
    assert etcd["results"]["worker-1"]["changes"] == []
    assert events["before", "kubelet"]["hosts"] == ["master1"]
    for phase in ("kubelet", "host"):
        assert (events["after", phase]["outcome"], events["after", phase]["error"]) == ("ok", "")
    assert events["after", "up"]["outcome"] == "failed"
    assert events["after", "up"]["error"].startswith("1 of 2 hosts failed; the others continued")


def test_a_failing_hook_stops_the_run_before_the_phase(
    go: Callable[..., Run], tmp_path: Path, state: State, reporter: Reporter
) -> None:
    with pytest.raises(HookError) as caught:
        go(
            hook("a", before=["kubelet"], after=["kubelet", "up"]),
            hook("", "sh", "-c", "sleep 1; echo no backup >&2; exit 3", before=["kubelet"]),
            hook("never", before=["kubelet"]),
            hook("", "sh", "-c", "exit 4", after=["kubelet"]),
        )
    assert order(tmp_path) == ["etcd", "a: before kubelet", "a: after kubelet", "a: after up"]
    assert str(caught.value).splitlines() == [
        "hook before kubelet: sh -c 'sleep 1; echo no backup >&2; exit 3' ended with code 3:",
        "    no backup",
    ]
    log = max(state.runs.iterdir()) / "hooks.log"
    assert caught.value.hint.endswith(f"it continues from there. The output of hooks is in {log}.")
    assert caught.value.exit_code == 1
    events = read(tmp_path)
    assert events["after", "kubelet"]["outcome"] == "failed"
    assert events["after", "kubelet"]["error"] == str(caught.value)
    assert events["after", "kubelet"]["results"]["master1"]["changed"] == 0
    assert events["after", "up"]["outcome"] == "failed"
    assert "hook after kubelet: sh -c 'exit 4' ended with code 4" in output(reporter)


def test_a_hook_that_fails_after_a_phase_stops_the_run_there(go: Callable[..., Run], tmp_path: Path) -> None:
    with pytest.raises(HookError, match="hook after etcd: false ended with code 1"):
        go(hook("", "false", after=["etcd"]), hook("undo", after=["etcd"]), hook("never", before=["kubelet"]))
    assert order(tmp_path) == ["etcd", "undo: after etcd"]


def test_after_the_last_phase_a_failed_host_outranks_a_failed_hook(go: Callable[..., Run]) -> None:
    with pytest.raises(HostError):
        go(hook("", "false", after=["host"]), failing="etcd")


def test_an_interrupted_phase(
    go: Callable[..., Run], tmp_path: Path, hosts: list[HostPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(run: Run) -> None:
        take = run._take_line

        def listen(line: str) -> None:
            take(line)
            if isinstance(parse(line), PlayStarted):
                os.kill(os.getpid(), signal.SIGINT)

        run._take_line = listen  # type: ignore[method-assign]
        run.playbook(ansible.playbook_path("site.yml"), hosts[:2], run.state.inventory)

    with pytest.raises(InterruptedRunError, match=r"during: etcd$"):
        go(hook("a", before=["etcd"], after=["etcd", "kubelet", "up"]), run=interrupt)
    hooks = [line for line in order(tmp_path) if ":" in line]
    assert hooks == ["a: before etcd", "a: after etcd", "a: after up"]
    events = read(tmp_path)
    assert [events["after", phase]["outcome"] for phase in ("etcd", "up")] == ["interrupted", "interrupted"]


def test_an_interrupt_while_ansible_waits_for_a_hook(
    go: Callable[..., Run], tmp_path: Path, state: State
) -> None:
    slow = hook(
        "", "sh", "-c", f"echo $$ > pid; kill -INT {os.getpid()}; sleep 300 & sleep 300", before=["kubelet"]
    )
    started = time.monotonic()
    with pytest.raises(InterruptedRunError, match=r"during: hook before kubelet: sh -c"):
        go(slow, hook("a", after=["kubelet", "up"]))
    assert time.monotonic() - started < 30
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()
    assert order(tmp_path) == ["etcd", "a: after kubelet", "a: after up"]
    finished = next(event for event in recorded(state) if isinstance(event, HookFinished))
    assert (finished.rc, finished.failure, finished.ignored) == (None, "was interrupted", False)


def test_ansible_goes_on_when_the_gate_ends(
    hosts: list[HostPlan], inventory: Path, playbook: WritePlaybook, tmp_path: Path
) -> None:
    playbook("etcd.yml", PLAY.format(hosts="master1", phase="etcd", folder=tmp_path, more=""))
    seen: list[Event | None] = []

    def follow(line: str) -> None:
        seen.append(parse(line))
        if isinstance(seen[-1], PhaseDue):
            time.sleep(0.5)
            assert not (tmp_path / "order").exists()  # it waits
            os.dup2(os.open(os.devnull, os.O_WRONLY), gate._writer)  # the pipe's only other end is gone

    with closing(Gate()) as gate:
        code = ansible.run_playbook(
            playbook("site.yml", "- ansible.builtin.import_playbook: etcd.yml"),
            hosts=hosts,
            inventory=inventory,
            log=inventory.parent / "ansible.log",
            on_line=follow,
            on_tick=lambda: None,
            gate=gate,
        )
    assert code == 0
    assert order(tmp_path) == ["etcd"]
    assert [type(event) for event in seen[1:3]] == [PhaseDue, PlayStarted]


def test_without_hooks_of_phases_ansible_has_no_gate(
    go: Callable[..., Run], tmp_path: Path, hosts: list[HostPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    def run_playbook(_playbook: Path, **how: Any) -> int:
        seen.append(how)
        how["on_line"]('{"v": 1, "kind": "stats", "time": 1, "hosts": {}}')
        return 0

    monkeypatch.setattr(ansible, "run_playbook", run_playbook)
    go(hook("a", before=["up"]))
    go()
    go(hook("a", before=["etcd"]))
    assert [how["gate"] is None for how in seen] == [True, True, False]


def test_a_warning_goes_on(go: Callable[..., Run], tmp_path: Path, reporter: Reporter, state: State) -> None:
    def work(run: Run) -> None:
        with (tmp_path / "order").open("a") as file:
            print("work", file=file)

    run = go(
        hook("", "sh", "-c", "echo cannot >&2; exit 2", before=["up"], onFailure="warn"),
        hook("", "no-such-program", before=["up"], onFailure="warn"),
        hook("", "sleep", "300", before=["up"], timeout=1, onFailure="warn"),
        hook("a", before=["up"]),
        run=work,
    )
    assert run.result.outcome == "ok"
    assert order(tmp_path) == ["a: before up", "work"]
    failures = [event for event in recorded(state) if isinstance(event, HookFinished) and event.failure]
    assert [(event.rc, event.ignored, event.failure) for event in failures] == [
        (2, True, "ended with code 2"),
        (None, True, "could not be started: it is not in PATH"),
        (-15, True, "was stopped because it took longer than 1 s"),
    ]
    assert failures[0].stderr == ("cannot",)
    assert (
        "hook before up: sh -c 'echo cannot >&2; exit 2' ended with code 2; the run continues:\n    cannot\n"
        in output(reporter)
    )


@pytest.mark.parametrize(
    ("error", "kind", "outcome"),
    [
        (VerifyError("no node is Ready"), VerifyError, "failed"),
        (KeyboardInterrupt(), InterruptedRunError, "interrupted"),
    ],
)
def test_after_the_run_whatever_ends_it(
    go: Callable[..., Run], tmp_path: Path, error: BaseException, kind: type[Exception], outcome: str
) -> None:
    def end(run: Run) -> None:
        raise error

    with pytest.raises(kind):
        go(hook("", "false", after=["up"]), hook("a", after=["up"]), run=end)
    event = read(tmp_path)["after", "up"]
    assert (event["outcome"], event["error"]) == (outcome, str(error) or outcome)


def test_a_run_fails_with_a_hook_after_it(go: Callable[..., Run], state: State) -> None:
    with pytest.raises(HookError, match="hook after up: false ended with code 1"):
        go(hook("", "false", after=["up"]), run=nothing)
    summary = json.loads((max(state.runs.iterdir()) / "summary.json").read_text())
    assert summary["outcome"] == "failed"


def test_nothing_runs_when_the_first_hook_fails(go: Callable[..., Run]) -> None:
    with pytest.raises(HookError):
        go(hook("", "false", before=["up"]), run=lambda _: pytest.fail("went on"))


def test_no_hook_runs_without_the_lock(go: Callable[..., Run], state: State, tmp_path: Path) -> None:
    with lock.hold(state.lock, "k8sbootstrap reset"), pytest.raises(LockedError):
        go(hook("a", before=["up"], after=["up"]))
    assert not (tmp_path / "order").exists()


def test_what_hooks_say_is_logged_and_shown_with_v(
    go: Callable[..., Run], reporter: Reporter, state: State
) -> None:
    go(hook("", "sh", "-c", "echo out; echo err >&2", before=["up"]), run=nothing)
    assert "hook before up: sh -c" in output(reporter)
    assert "    out\n" not in output(reporter)
    reporter.verbosity = 1
    go(hook("", "sh", "-c", "echo out", before=["up"]), run=nothing)
    assert "    out\n" in output(reporter)
    log = min(state.runs.iterdir(), key=lambda path: path.stat().st_mtime) / "hooks.log"
    first, *said, last = log.read_text().splitlines()
    assert first == "== before up: sh -c 'echo out; echo err >&2'"
    assert (sorted(said), last) == (["err", "out"], "== ended with code 0")
    assert log.stat().st_mode & 0o777 == 0o600


def test_the_log_of_hooks_has_no_control_characters(go: Callable[..., Run], state: State) -> None:
    go(hook("", "printf", r"clear \033[2J\tx\n", before=["up"]), run=nothing)
    log = next(state.runs.iterdir()) / "hooks.log"
    assert log.read_text().splitlines()[1] == "clear \ufffd[2J\tx"


def test_environment(go: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_URL", "https://chat.example.com")
    run = go(hook("", "sh", "-c", "env > env", before=["up"]), run=nothing)
    seen = dict(line.partition("=")[::2] for line in (tmp_path / "env").read_text().splitlines())
    assert seen["CHAT_URL"] == "https://chat.example.com"
    names = ("EVENT", "PHASE", "CLUSTER", "RUN")
    assert [seen[f"K8SBOOTSTRAP_{name}"] for name in names] == ["before", "up", "demo", run.result.id]


def test_a_program_in_the_folder_of_the_file(
    go: Callable[..., Run],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    go(hook("a", before=["up"]), run=nothing)
    assert order(tmp_path) == ["a: before up"]


def test_on_a_terminal(go: Callable[..., Run], reporter: Reporter) -> None:
    events = [
        HookStarted(time=1, command=("./record", "a"), when="before", phase="up"),
        HookFinished(time=2, command=("./record", "a"), when="before", phase="up", rc=0, seconds=1),
        HookFinished(
            time=2, command=("b",), when="after", phase="up", rc=3, seconds=1, failure="ended with code 3"
        ),
    ]
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, no_color=True)
    run = go(run=nothing)
    with LiveReporter(console, started=0.0) as live:
        for event in events:
            live.handle(event, run.board)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert "✓ hook before up: ./record a 1.0s" in text
    assert "hook after up: b ended with code 3" in text


def test_the_command_ends_with_the_documented_code(
    make_plan: Callable[..., ClusterPlan], tmp_path: Path
) -> None:
    make_plan(hook("", "sh", "-c", "echo not now >&2; exit 7", before=["up"]))
    done = subprocess.run(
        [sys.executable, "-m", "k8sbootstrap", "-f", tmp_path / "cluster.yaml", "up"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == HookError.exit_code
    assert done.stderr.startswith(
        "hook before up: sh -c 'echo not now >&2; exit 7' ended with code 7:\n    not now\nNext: Fix the hook"
    )

"""k8sbootstrap plan: what it says of what was found, and how it ends."""

import json
from collections.abc import Callable
from io import StringIO
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.plan import Preview, _preview
from k8sbootstrap.cli import plan as command
from k8sbootstrap.errors import HostError
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan, UnplannedNode
from k8sbootstrap.run.events import parse
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.session import running
from k8sbootstrap.state import State
from k8sbootstrap.survey.todo import Survey, Work
from k8sbootstrap.survey.upgrade.models import PendingUpgrade

UNIT = "/etc/systemd/system/kubelet.service"
DIFF = f"--- {UNIT}\n+++ {UNIT}\n@@ -1 +1 @@\n-RestartSec=7\n+RestartSec=2\n"
CHANGES: list[dict[str, Any]] = [
    {"kind": "file", "action": "change", "name": UNIT, "causes": ["drift"]},
    {"kind": "unit", "action": "restart", "name": "kubelet.service", "why": [UNIT]},
    {"kind": "file", "action": "add", "name": "/etc/new", "causes": ["new"]},
    {"kind": "file", "action": "remove", "name": "/etc/old", "causes": ["configuration"]},
    {"kind": "directory", "action": "mode", "name": "/etc/dir", "causes": ["configuration", "drift"]},
    {"kind": "package", "action": "install", "name": "socat", "causes": ["new"]},
    {"kind": "module", "action": "load", "name": "overlay", "causes": ["drift"]},
    {"kind": "sysctl", "action": "set", "name": "net.ipv4.ip_forward", "causes": ["drift"]},
    {"kind": "node", "action": "set", "name": "worker1", "causes": ["drift"]},
    {"kind": "node", "action": "drain", "name": "worker1"},
]
UPGRADE = PendingUpgrade("1.36.2", ("1.35.8",), "3.6.8", (), ("master1",), ("master1",), ("worker1",), 1)
LOST = HostError("master1: no answer")


def result(host: str) -> str:
    """The line in which Ansible's check mode tells of all these changes."""
    return json.dumps(
        {
            "v": 1,
            "kind": "task_result",
            "time": 1.0,
            "phase": "kubelet",
            "host": host,
            "task": "Install",
            "role": "kubelet",
            "action": "component",
            "status": "changed",
            "seconds": 0.1,
            "changes": [{"text": "x"} | change for change in CHANGES],
            "diff": [{"name": UNIT, "prepared": DIFF}, {"name": "/etc/new", "prepared": "/etc/new: added"}],
        }
    )


def preview_of(plan: ClusterPlan, folder: Path, todo: Survey, *lines: str) -> Preview:
    """What comes of these lines of Ansible."""
    state = State.beside(folder / "cluster.yaml", plan.config.name)
    with running(state, "k8sbootstrap plan", Reporter(Console(file=StringIO()))) as run:
        for line in lines:
            event = parse(line)
            assert event
            run.board.apply(event)
        return _preview(plan, run, todo)


@pytest.fixture
def given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What ``run_plan`` was given; under "todo" and "lines" is what it finds."""
    seen: dict[str, Any] = {
        "todo": Survey({"worker1": {"kubelet": Work(("drift",))}}),
        "lines": [result("worker1")],
    }

    def run_plan(plan: ClusterPlan, file: Path, options: RunOptions, reporter: Reporter) -> Preview:
        seen.update(file=file, options=options)
        reporter.console.print("progress")
        return preview_of(plan, folder, seen["todo"], *seen["lines"])

    monkeypatch.setattr(command, "run_plan", run_plan)
    return seen


def test_every_change_is_said_with_its_cause(run, given: dict[str, Any]) -> None:
    ended = run("plan")
    assert ended.code == 0
    assert (
        ended.out
        == f"""\
worker1
  Join nodes
    ~ change {UNIT} (changed on the host)
        @@ -1 +1 @@
        -RestartSec=7
        +RestartSec=2
    ! restart kubelet.service (for {UNIT})
    + add /etc/new
    - remove /etc/old (cluster.yaml or k8sbootstrap changed)
    ~ set mode or owner of directory /etc/dir (cluster.yaml or k8sbootstrap changed; changed on the host)
    + install package socat
    + load kernel module overlay (changed on the host)
    ~ set sysctl net.ipv4.ip_forward (changed on the host)
    ~ set labels or taints of node worker1 (changed in the cluster)
    ! drain node worker1

10 changes on 1 host, 1 service restart. Nothing was changed. To make these changes, run: k8sbootstrap up
"""
    )


def test_an_upgrade_and_strange_nodes_come_first(run, given: dict[str, Any]) -> None:
    old = UnplannedNode("old", IPv4Address("192.0.2.31"), None)
    given.update(todo=Survey({}, unplanned=(old,), upgrade=UPGRADE))
    lines = run("plan").out.splitlines()
    assert lines[:2] == ["Upgrade", "  Kubernetes is upgraded from 1.35.8 to 1.36.2"]
    named = next(place for place, line in enumerate(lines) if line.startswith("old"))
    assert "192.0.2.31" in lines[named]
    assert lines.index("") < named < lines.index("worker1")


def test_nothing_to_change(run, given: dict[str, Any]) -> None:
    given.update(todo=Survey({}), lines=[])
    ended = run("plan", "--detailed-exitcode")
    assert (ended.code, ended.out) == (0, "Nothing to change.\n")


def test_a_script_sees_from_the_code_that_there_are_changes(run, given: dict[str, Any]) -> None:
    assert run("plan", "--detailed-exitcode").code == 11
    assert run("plan").code == 0


@pytest.mark.parametrize("options", [[], ["--detailed-exitcode"]])
def test_a_host_that_could_not_be_planned_is_an_error_after_the_plan(
    run, given: dict[str, Any], options: list[str]
) -> None:
    given.update(todo=Survey({}, {"master1": LOST}))
    ended = run("plan", *options)
    assert ended.code == 5
    assert ended.out.startswith("master1\n  master1: no answer\nworker1\n")
    assert ended.err == (
        "progress\n1 of 2 hosts could not be reached and have no plan\nmaster1: no answer\n"
        "Next: Bring them back or remove them from cluster.yaml, then run the same command again.\n"
    )


def test_json_is_alone_on_standard_output(run, given: dict[str, Any], folder: Path) -> None:
    given.update(todo=Survey({}, {"master1": LOST}))
    ended = run("plan", "-o", "json")
    assert ended.code == 5
    document = json.loads(ended.out)
    plan = load_plan(folder / "cluster.yaml")
    whole = preview_of(plan, folder, given["todo"], *given["lines"]).to_json()
    assert document == json.loads(json.dumps(whole))
    assert [(host["name"], host["error"], len(host["changes"])) for host in document["hosts"]] == [
        ("master1", "master1: no answer", 0),
        ("worker1", "", len(CHANGES)),
    ]
    assert ended.err.startswith("progress\n")


def test_where_nobody_can_be_asked_nothing_new_is_trusted(run, given: dict[str, Any]) -> None:
    run("plan")
    assert given["options"] == RunOptions()


def test_options(run, given: dict[str, Any]) -> None:
    run("-f", "./cluster.yaml", "plan", "--accept-new-host-keys", "--yes")
    assert given["file"] == Path("./cluster.yaml")
    assert given["options"].accept_new_host_keys is True
    assert given["options"].allow_authorities(None) is True


def test_on_a_terminal_the_owner_is_asked(run, typed: Callable[[str], None], given: dict[str, Any]) -> None:
    typed("")
    run("plan")
    assert given["options"].ask
    assert given["options"].allow_authorities
    run("plan", "-o", "json")
    assert given["options"] == RunOptions()


def test_a_mistake_in_cluster_yaml_reaches_no_host(run, given: dict[str, Any], wrong_role: str) -> None:
    ended = run("plan")
    assert (ended.code, ended.out, ended.err) == (3, "", wrong_role)
    assert "options" not in given


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--output", "xml"], "'xml' is not one of 'text', 'json'"),
        (["--bundle", "gone.tar"], "'gone.tar' does not exist"),
        (["worker1"], "unexpected extra argument (worker1)"),
        (["--limit", "worker1"], "--limit"),
    ],
)
def test_a_wrong_command_line_reaches_no_host(run, given: dict[str, Any], args: list[str], said: str) -> None:
    ended = run("plan", *args)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "options" not in given

"""The steps of up in their order; what each step does is tested where it lives."""

import io
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from k8sbootstrap.actions import up
from k8sbootstrap.actions.up import UpOptions, run_up
from k8sbootstrap.checks.formats import VERIFY, as_json
from k8sbootstrap.checks.framework import CheckReport, CheckResult, Status
from k8sbootstrap.errors import (
    HostError,
    HostKeyError,
    InterruptedRunError,
    LockedError,
    PreflightError,
    StateError,
    VerifyError,
)
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.inventory.model import Inventory
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run import lock
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.session import Run
from k8sbootstrap.state import State
from k8sbootstrap.survey.todo import HostFindings, Survey, Work

CLUSTER = """
apiVersion: k8sbootstrap/v1alpha1
kind: Cluster
name: demo
kubernetes: {version: 1.36.2}
hosts:
  - {name: master1, address: 10.0.0.11, roles: [master]}
  - {name: worker1, address: 10.0.0.21, roles: [worker]}
"""

REPORT = CheckReport(
    "demo",
    (
        CheckResult("swap", "master1", Status.IGNORED, "swap is on", "turn it off"),
        CheckResult("clock", "master1", Status.PASSED, "no skew", ""),
    ),
)
VERIFIED = CheckReport("demo", (CheckResult("nodes", "master1", Status.PASSED, "Ready", seconds=1.5),), 2.0)
FOUND = Survey({"master1": {"etcd": Work(("new",))}}, exists=False)
SEEN = HostFindings({})
INVENTORY = Inventory({}, {}, {}, {"master1": {"etcd": "aa"}, "worker1": {}})
LOST = {"worker1": HostError("worker1 (10.0.0.21): no answer within 10 s")}


@pytest.fixture
def cluster_file(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    return path


@pytest.fixture
def plan(cluster_file: Path) -> ClusterPlan:
    return load_plan(cluster_file)


@pytest.fixture
def reporter() -> Reporter:
    return Reporter(Console(file=io.StringIO(), soft_wrap=True))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What each step was called with, in order; an exception put under a step's name is raised there."""
    seen: dict[str, Any] = {}
    errors: dict[str, Exception] = {}
    results: dict[str, object] = {
        "run_preflight": REPORT,
        "look_at_hosts": SEEN,
        "compare": FOUND,
        "run_verify": VERIFIED,
        "recover_pki": None,
    }

    def note(name: str) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            seen[name] = SimpleNamespace(args=args, named=named)
            if name in errors:
                raise errors[name]
            return results.get(name, name)

        return call

    for name in (
        "ensure_known",
        "run_preflight",
        "require",
        "recover_pki",
        "look_at_hosts",
        "require_allowed",
        "compare",
        "run_verify",
        "conclude",
    ):
        monkeypatch.setattr(up, name, note(name))
    note_prepare = note("prepare")

    def prepare(*args: Any) -> Inventory:
        note_prepare(*args)
        args[3].mkdir(parents=True, exist_ok=True)
        return INVENTORY

    monkeypatch.setattr(up, "prepare", prepare)
    monkeypatch.setattr(up, "sent_ahead", lambda *_: nullcontext("/var/tmp/ahead"))
    monkeypatch.setattr(Run, "playbook", note("playbook"))
    seen["errors"] = errors
    seen["results"] = results
    return seen


def test_steps_in_order(
    plan: ClusterPlan, cluster_file: Path, reporter: Reporter, calls: dict[str, Any]
) -> None:
    options = UpOptions(accept_new_host_keys=True, ignore_preflight=("swap",))
    summary = run_up(plan, cluster_file, options, reporter)
    assert [name for name in calls if name not in {"errors", "results"}] == [
        "ensure_known",
        "look_at_hosts",
        "require_allowed",
        "run_preflight",
        "require",
        "recover_pki",
        "prepare",
        "compare",
        "playbook",
        "run_verify",
        "conclude",
    ]
    targets = list(calls["ensure_known"].args[1])
    assert [target.host for target in targets] == ["master1", "worker1"]
    assert calls["ensure_known"].named == {"accept_new": True, "ask": None}
    assert calls["run_preflight"].named["ignore"] == ("swap",)
    assert calls["require"].args == (REPORT,)
    state = State.beside(cluster_file, "demo")
    assert calls["prepare"].args[:4] == (plan, cluster_file, state, state.inventory)
    _, playbook, hosts, inventory = calls["playbook"].args
    assert (hosts, inventory) == (plan.hosts, state.inventory)
    assert (playbook.parent / "etcd.yml").exists()
    assert calls["compare"].args == (plan, INVENTORY.digests, SEEN)
    assert calls["run_verify"].named["short"] is True
    assert (summary.outcome, summary.command) == ("ok", "k8sbootstrap up")
    assert [timing.name for timing in summary.steps] == [
        "host_keys",
        "look",
        "preflight",
        "authorities",
        "compare",
        "verify",
    ]


def names(calls: dict[str, Any]) -> list[str]:
    return [name for name in calls if name not in {"errors", "results"}]


def settled(plan: ClusterPlan, cluster_file: Path, calls: dict[str, Any], found: Survey) -> None:
    """A cluster that was brought up before, and what is found to do now."""
    state = State.beside(cluster_file, plan.config.name)
    state.inventory.mkdir(parents=True)
    state.pki.mkdir()
    (state.pki / "ca.crt").touch()
    calls["results"]["compare"] = found


def test_nothing_to_do_is_seen_first(
    plan: ClusterPlan, cluster_file: Path, reporter: Reporter, calls: dict[str, Any]
) -> None:
    settled(plan, cluster_file, calls, Survey({}))
    summary = run_up(plan, cluster_file, UpOptions(), reporter)
    assert names(calls) == ["ensure_known", "look_at_hosts", "require_allowed", "prepare", "compare"]
    assert {host: count["changed"] for host, count in summary.hosts.items()} == {"master1": 0, "worker1": 0}
    assert len(list(State.beside(cluster_file, "demo").runs.glob("*/inventory"))) == 1  # the record has it


def test_a_lost_host_is_left_out_and_reported_at_the_end(
    plan: ClusterPlan, cluster_file: Path, reporter: Reporter, calls: dict[str, Any]
) -> None:
    settled(plan, cluster_file, calls, Survey({"master1": {"etcd": Work(("drift",))}}, LOST))
    with pytest.raises(HostError, match=r"(?s)1 of 2 hosts could not be reached.*worker1 .*no answer"):
        run_up(plan, cluster_file, UpOptions(), reporter)
    assert list(calls["run_preflight"].named["without"]) == ["worker1"]
    assert calls["run_verify"].named["allow_down"] == ("worker1",)


def test_a_lost_host_of_a_cluster_that_is_not_there_yet_is_left_to_preflight(
    plan: ClusterPlan, cluster_file: Path, reporter: Reporter, calls: dict[str, Any]
) -> None:
    settled(plan, cluster_file, calls, Survey({"master1": {"etcd": Work(("new",))}}, LOST, exists=False))
    with pytest.raises(HostError):
        run_up(plan, cluster_file, UpOptions(), reporter)
    assert list(calls["run_preflight"].named["without"]) == []


def test_what_would_break_the_cluster_is_refused_before_anything_is_written(
    plan: ClusterPlan, cluster_file: Path, reporter: Reporter, calls: dict[str, Any]
) -> None:
    settled(plan, cluster_file, calls, Survey({"worker1": {"kubelet": Work(("configuration",))}}))
    calls["errors"]["require_allowed"] = PreflightError("worker1 is a master")
    with pytest.raises(PreflightError, match="worker1 is a master"):
        run_up(plan, cluster_file, UpOptions(), reporter)
    assert names(calls) == ["ensure_known", "look_at_hosts", "require_allowed"]
    assert calls["require_allowed"].args == (plan, SEEN.findings, SEEN.unreachable)


def test_who_says_no_changes_nothing(
    plan: ClusterPlan, cluster_file: Path, reporter: Reporter, calls: dict[str, Any]
) -> None:
    def no(_todo: Survey) -> None:
        raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError):
        run_up(plan, cluster_file, UpOptions(confirm=no), reporter)
    assert "playbook" not in calls


def test_a_limit_leaves_other_hosts_alone(
    plan: ClusterPlan, cluster_file: Path, reporter: Reporter, calls: dict[str, Any]
) -> None:
    work = {"etcd": Work(("drift",)), "cluster_rbac": Work(("drift",))}
    settled(plan, cluster_file, calls, Survey({"master1": work, "worker1": {"kubelet": Work(("new",))}}))
    run_up(plan, cluster_file, UpOptions(limit=("worker1",)), reporter)
    playbook = calls["playbook"].args[1]
    written = {path.name for path in playbook.parent.iterdir()}
    assert written == {"site.yml", "control_plane.yml", "kubelet.yml"}


@pytest.mark.parametrize(
    "ending",
    [
        ("ensure_known", HostKeyError("changed"), "run_preflight"),
        ("require", PreflightError("swap is on"), "recover_pki"),
        ("recover_pki", StateError("another CA"), "prepare"),
        ("playbook", HostError("master1 failed"), "run_verify"),
        ("conclude", VerifyError("no node is Ready"), "nothing"),
    ],
)
def test_an_error_ends_it_there(
    plan: ClusterPlan,
    cluster_file: Path,
    calls: dict[str, Any],
    ending: tuple[str, Exception, str],
) -> None:
    step, error, not_reached = ending
    calls["errors"][step] = error
    with pytest.raises(type(error)):
        run_up(plan, cluster_file, UpOptions(), Reporter(Console(file=io.StringIO())))
    assert step in calls
    assert not_reached not in calls


def test_nothing_is_done_without_the_lock(
    plan: ClusterPlan, cluster_file: Path, reporter: Reporter, calls: dict[str, Any]
) -> None:
    state = State.beside(cluster_file, "demo")
    state.create()
    with lock.hold(state.lock, "k8sbootstrap up"), pytest.raises(LockedError):
        run_up(plan, cluster_file, UpOptions(), reporter)
    assert list(calls) == ["errors", "results"]


def test_what_preflight_let_pass_is_said(
    plan: ClusterPlan, cluster_file: Path, reporter: Reporter, calls: dict[str, Any]
) -> None:
    run_up(plan, cluster_file, UpOptions(), reporter)
    assert isinstance(reporter.console.file, io.StringIO)
    text = reporter.console.file.getvalue()
    assert "Preflight: master1: swap: ignored: swap is on" in text
    assert "clock" not in text


def test_what_verify_found_is_said(
    plan: ClusterPlan,
    cluster_file: Path,
    reporter: Reporter,
    calls: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def verify(
        _plan: ClusterPlan,
        _pool: Pool,
        *,
        short: bool,
        allow_down: Any,
        on_result: Callable[[CheckResult], None],
    ) -> CheckReport:
        on_result(CheckResult("nodes", "master1", Status.PASSED, "Ready"))
        on_result(CheckResult("nodes", "worker1", Status.FAILED, "NotReady: the kubelet stopped posting"))
        return VERIFIED

    monkeypatch.setattr(up, "run_verify", verify)
    run_up(plan, cluster_file, UpOptions(), reporter)
    assert calls["conclude"].args == (VERIFIED,)
    assert isinstance(reporter.console.file, io.StringIO)
    text = reporter.console.file.getvalue()
    assert "Verify: nodes (worker1): NotReady: the kubelet stopped posting" in text
    assert "nodes (master1)" not in text


@pytest.mark.parametrize("error", [None, VerifyError("no node is Ready")])
def test_what_verify_saw_is_kept_however_it_ends(
    plan: ClusterPlan,
    cluster_file: Path,
    reporter: Reporter,
    calls: dict[str, Any],
    error: VerifyError | None,
) -> None:
    calls["errors"].update({"conclude": error} if error else {})
    with pytest.raises(VerifyError) if error else nullcontext():
        run_up(plan, cluster_file, UpOptions(), reporter)
    (kept,) = State.beside(cluster_file, "demo").runs.glob("*/verify.json")
    assert json.loads(kept.read_text()) == json.loads(as_json(VERIFIED, VERIFY))
    assert kept.stat().st_mode & 0o777 == 0o600

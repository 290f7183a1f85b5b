"""Which steps certs renew takes, and what it refuses."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.actions import renew
from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.renew import RENEW, RenewContext, lines_of, look, require_all
from k8sbootstrap.actions.step import Step, StepReporter, take
from k8sbootstrap.errors import HostError, PreflightError
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.pki import x509
from k8sbootstrap.pki.choice import Choice, Outlook
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.pki.table import Leaf, Subject
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.session import Run
from k8sbootstrap.survey.record import HostFinding
from k8sbootstrap.survey.todo import HostFindings, Survey, Work
from tests.unit.hosts.sessions import unreachable

BEFORE = ["look", "authorities", "artifacts", "inventory", "choose"]
ONE = Outlook((Leaf("hosts/worker1/x", "ca", Subject("x"), "worker1"),), {}, ())
GONE = HostError("worker1 (10.0.0.21): no answer within 10 s")
TODO = Survey({"worker1": {"kubelet": Work(("configuration",))}})


@pytest.fixture
def context(plan: ClusterPlan, cluster_file: Path, run: Run) -> RenewContext:
    return RenewContext.begin(plan, cluster_file, run, Pool(unreachable), RunOptions())


def finding(cluster: str) -> HostFinding:
    fields: dict[str, Any] = {"digests": {}, "drift": {}, "routes": {}, "pod_cidrs": None, "api_error": ""}
    return HostFinding(cluster=cluster, **fields)


def taken(context: RenewContext, found: Outlook, todo: Survey, *, goes_on: bool = False) -> list[str]:
    names: list[str] = []

    def noted(step: Step[RenewContext]) -> Step[RenewContext]:
        def do(context: RenewContext, _reporter: StepReporter) -> None:
            names.append(step.name)
            if step.name == "choose":
                context.outlook, context.goes_on = found, goes_on
            elif step.name == "compare":
                context.todo = todo

        return replace(step, do=do)

    take([noted(step) for step in RENEW], context, context.run.step)
    return names


def test_nothing_to_renew(context: RenewContext) -> None:
    assert taken(context, Outlook((), {}, ()), TODO) == [*BEFORE, "require_all"]


@pytest.mark.parametrize(("found", "goes_on"), [(ONE, False), (Outlook((), {}, ()), True)])
def test_a_renewal(context: RenewContext, found: Outlook, *, goes_on: bool) -> None:
    """Nothing is written before the user has agreed; one that was stopped goes on."""
    changing = ["pki", "compare", "install", "verify", "end", "require_all"]
    assert taken(context, found, TODO, goes_on=goes_on) == [*BEFORE, "confirm", *changing]


def test_hosts_have_all_already(context: RenewContext) -> None:
    ending = ["confirm", "pki", "compare", "end", "require_all"]
    assert taken(context, ONE, Survey({}), goes_on=True) == [*BEFORE, *ending]


def looked(context: RenewContext, monkeypatch: pytest.MonkeyPatch, found: HostFindings) -> None:
    monkeypatch.setattr(renew, "look_at_hosts", lambda *_: found)
    with context.run.step("look", "Look") as step:
        look(context, step)


def test_no_upgrade_along_the_way(context: RenewContext, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PreflightError, match=r"1\.35\.1"):
        looked(replace(context, last_release="1.35.1"), monkeypatch, HostFindings({}))


@pytest.mark.parametrize(
    ("hosts", "found", "said"),
    [
        (None, HostFindings({}, {"worker1": GONE}), "no host answers. Nothing was changed."),
        ({"worker1"}, HostFindings({"master1": finding("demo")}, {"worker1": GONE}), "no host answers"),
        (None, HostFindings({"master1": finding("")}), "no host is in the cluster yet"),
        (
            {"worker1"},
            HostFindings({"master1": finding("demo"), "worker1": finding("")}),
            "worker1: not in the cluster yet. Nothing was changed.",
        ),
    ],
)
def test_refused(
    context: RenewContext,
    monkeypatch: pytest.MonkeyPatch,
    hosts: set[str] | None,
    found: HostFindings,
    said: str,
) -> None:
    context.choice = Choice(hosts=frozenset(hosts) if hosts else None)
    with pytest.raises((HostError, PreflightError), match=said):
        looked(context, monkeypatch, found)


def test_hosts_that_are_not_in_the_cluster_yet_are_left_out(
    context: RenewContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked(context, monkeypatch, HostFindings({"master1": finding("demo"), "worker1": finding("")}))
    assert [host.name for host in context.plan.hosts] == ["master1"]
    assert list(context.found.findings) == ["master1"]


@pytest.mark.parametrize("hosts", [None, frozenset({"worker1"})])
def test_hosts_that_do_not_answer_are_named_at_the_end(
    context: RenewContext, hosts: frozenset[str] | None
) -> None:
    context.outlook, context.choice = ONE, Choice(hosts=hosts)
    context.found = HostFindings({}, {"worker1": GONE})
    with context.run.step("end", "End") as step, pytest.raises(HostError, match="no answer within") as caught:
        require_all(context, step)
    assert "with their names" in caught.value.hint
    assert lines_of(context)[-1] == f"not reached: {GONE}"


@pytest.mark.parametrize(("hosts", "outlook"), [(frozenset({"master1"}), ONE), (None, Outlook((), {}, ()))])
def test_hosts_that_need_nothing_may_be_down(
    context: RenewContext, hosts: frozenset[str] | None, outlook: Outlook
) -> None:
    context.outlook, context.choice = outlook, Choice(hosts=hosts)
    context.found = HostFindings({}, {"worker1": GONE})
    with context.run.step("end", "End") as step:
        require_all(context, step)


def test_what_else_is_done_is_said_before(context: RenewContext) -> None:
    context.outlook, context.pending = ONE, TODO
    assert lines_of(context)[-2:] == [
        "these have changes to apply anyway, which are applied as well:",
        "  worker1: kubelet",
    ]


def test_a_killed_renewal_goes_on_with_the_same_certificates(
    context: RenewContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = context.state
    ensure_pki(context.plan, state)
    later = x509.now() + dt.timedelta(minutes=1)
    monkeypatch.setattr(x509, "now", lambda: later)
    monkeypatch.setattr(renew, "make_inventory", lambda *_: None)
    context.inventory_folder.mkdir()
    monkeypatch.setattr(renew, "compare", lambda *_: Survey({}))
    context.choice = Choice(every=True)
    context.found = HostFindings({"worker1": replace(finding("demo"), digests={"kubelet": "x"})})
    seen = []
    for _ in range(2):
        with context.run.step("choose", "Certificates") as step:
            renew.choose(context, step)
            renew.issue(context, step)
            renew.compare_hosts(context, step)
        assert list(context.todo.work) == ["worker1"]
        assert len(context.todo.renew) == 14
        seen.append({path: path.read_bytes() for path in state.pki.rglob("*.crt")})
    assert seen[0] == seen[1]
    assert context.goes_on

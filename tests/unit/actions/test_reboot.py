"""Which hosts reboot, in which order, by which steps, and how it goes on after it was killed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from k8sbootstrap.actions import out_of_service
from k8sbootstrap.actions import reboot as rebooting
from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.reboot import Reboot, RebootContext, ask_user, lines_of, look, look_again, of_host
from k8sbootstrap.errors import HostError, PreflightError
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.session import Run
from k8sbootstrap.survey.boots import Boot
from tests.cluster_yaml import cluster_yaml
from tests.unit.checks.test_removal import Case
from tests.unit.hosts.sessions import unreachable

if TYPE_CHECKING:
    from k8sbootstrap.actions.step import Step

NAMES = ("m1", "m2", "m3", "w1", "w2")


@pytest.fixture
def plan(cluster_file: Path) -> ClusterPlan:
    cluster_file.write_text(cluster_yaml(*NAMES))
    return load_plan(cluster_file)


@pytest.fixture
def case(plan: ClusterPlan, monkeypatch: pytest.MonkeyPatch) -> Case:
    """The cluster as hosts report it; all of them run the boot ``old``."""
    made = Case(plan)
    monkeypatch.setattr(rebooting, "look_at_hosts", lambda *_: made.findings())
    monkeypatch.setattr(rebooting, "look_at_etcd", lambda *_: made.etcd())
    return made


@pytest.fixture
def seen(case: Case, monkeypatch: pytest.MonkeyPatch) -> dict[str, Boot]:
    answers = {name: Boot("old", ()) for name in NAMES}
    monkeypatch.setattr(
        rebooting, "boots", lambda hosts, _: {each.name: answers[each.name] for each in hosts}
    )
    return answers


Make = Callable[..., RebootContext]


@pytest.fixture
def make(plan: ClusterPlan, cluster_file: Path, run: Run, seen: Mapping[str, Boot]) -> Make:
    def made(*names: str, **other: Any) -> RebootContext:
        context = RebootContext.begin(plan, cluster_file, run, Pool(unreachable), RunOptions())
        context = replace(context, names=names or NAMES, **other)
        with run.step("look", "Look") as step:
            look(context, step)
        return context

    return made


def order(context: RebootContext) -> list[str]:
    return [each.host.name for each in context.reboots]


def steps(each: Reboot, *, first: bool = True) -> list[str]:
    made: list[Step[RebootContext]] = list(of_host(each, first=first))
    assert all(each.host.name in step.title for step in made)
    return [step.name for step in made]


def test_workers_go_first(make: Make) -> None:
    context = make()
    assert order(context) == ["w1", "w2", "m1", "m2", "m3"]
    master, worker = context.reboots[2], context.reboots[0]
    assert steps(master) == ["drain", "spare", "stop", "stop_etcd", "reboot", "well", "uncordon"]
    assert steps(worker, first=False) == ["look", "drain", "reboot", "well", "uncordon"]


def test_only_those_that_ask_for_it(make: Make, seen: dict[str, Boot], shown: Callable[[], str]) -> None:
    seen["m2"] = Boot("old", ("kernel 2", "a\x1b[2J"))
    context = make(if_required=True)
    assert order(context) == ["m2"]
    assert lines_of(context) == [
        "m2: its pods move to other nodes, its control plane stops, it reboots (kernel 2; a\ufffd[2J)",
        "etcd: without m2 2 of 3 members are healthy, and 0 of them may fail",
    ]
    assert "w1: no reboot is required" in shown()
    assert make("w1", if_required=True).reboots == ()


def test_what_a_killed_run_rebooted_is_only_given_back(make: Make, case: Case, seen: dict[str, Boot]) -> None:
    """w1 was rebooted, w2 was cordoned and not rebooted yet."""
    case.other = {"m1": {"cordoned": {"w1": "reboot:old", "w2": "reboot:old", "m3": "stop", "m2": "1.37.2"}}}
    seen["w1"] = Boot("new", ())
    context = make()
    assert order(context) == ["w1", "w2", "m1", "m2", "m3"]
    assert steps(context.reboots[0]) == ["well", "uncordon"]
    assert steps(context.reboots[1])[0] == "drain"
    assert lines_of(context)[0] == "w1: it was rebooted before: its node takes pods again once it is well"
    assert order(make(if_required=True)) == ["w1"]


def test_a_rebooted_one_needs_no_quorum(make: Make, case: Case, seen: dict[str, Boot]) -> None:
    """Its own member may be what is not healthy yet."""
    case.other = {"m2": {"cordoned": {"m1": "reboot:old"}}}
    case.other["m1"] = {"pod_cidrs": None, "api_error": "connection refused"}
    case.ill = {"m1", "m3"}
    seen["m1"] = Boot("new", ())
    assert order(make("m1")) == ["m1"]


def test_the_only_master_is_not_spared(
    cluster_file: Path, run: Run, seen: dict[str, Boot], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster_file.write_text(cluster_yaml("m1", "w1"))
    small = Case(load_plan(cluster_file))
    monkeypatch.setattr(rebooting, "look_at_hosts", lambda *_: small.findings())
    monkeypatch.setattr(rebooting, "look_at_etcd", lambda *_: small.etcd())
    context = RebootContext.begin(small.plan, cluster_file, run, Pool(unreachable), RunOptions())
    context.names = ["m1"]
    with run.step("look", "Look") as step:
        look(context, step)
    (one,) = context.reboots
    assert steps(one) == ["drain", "stop", "stop_etcd", "reboot", "well", "uncordon"]
    assert lines_of(context)[1].startswith("m1: etcd has no quorum until it is back")


def test_before_each_next_one_the_cluster_is_looked_at(make: Make, case: Case) -> None:
    context = make("m1", "m2")
    case.down = {"m3"}
    with context.run.step("look", "Look") as step, pytest.raises(HostError) as failed:
        look_again(context.reboots[1])(context, step)
    assert str(failed.value).startswith("m2 was not rebooted: etcd would have no quorum without m2")
    assert "Nothing was changed" not in str(failed.value)
    assert failed.value.hint.startswith("Bring m3 back first")


def test_one_that_does_not_answer_is_refused(make: Make, case: Case) -> None:
    case.down = {"w1"}
    with pytest.raises(PreflightError, match="w1 can't be reached"):
        make()
    assert order(make("w2")) == ["w2"]


def test_the_user_is_asked_only_if_there_is_something_to_do(make: Make) -> None:
    asked: list[RebootContext] = []
    for context in (make("w1", confirm=asked.append), make("w1", if_required=True, confirm=asked.append)):
        with context.run.step("confirm", "") as step:
            ask_user(context, step)
    assert [order(each) for each in asked] == [["w1"]]


class Host:
    """A host that is asked to reboot, and answers with another boot after some looks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *boots: str) -> None:
        self.boots, self.asked, self.error = list(boots), 0, ""
        monkeypatch.setattr(out_of_service, "ask_first", self.ask)
        monkeypatch.setattr(out_of_service, "_boot", lambda *_: self.boots.pop(0))
        monkeypatch.setattr(out_of_service.time, "sleep", lambda _: None)

    def ask(self, *_: object) -> None:
        self.asked += 1
        if self.error:
            raise HostError(self.error)


def take(do: Callable[..., None], context: RunContext) -> None:
    with context.run.step("one", "One") as step:
        do(context, step)


def test_it_waits_for_another_boot(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context, host = make("w1"), Host(monkeypatch, "old", "", "", "new")
    take(out_of_service.reboot(context.plan.hosts[3], "old"), context)
    assert (host.asked, host.boots) == (1, [])


def test_the_connection_may_break(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context, host = make("w1"), Host(monkeypatch, "", "new")
    host.error = "the connection broke"
    take(out_of_service.reboot(context.plan.hosts[3], "old"), context)
    assert host.boots == []


def test_a_host_that_refuses_to_reboot(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context, host = make("w1"), Host(monkeypatch, "old")
    host.error = "w1: systemctl --no-block reboot failed: masked"
    with pytest.raises(HostError, match="masked"):
        take(out_of_service.reboot(context.plan.hosts[3], "old"), context)


def test_a_host_that_does_not_come_back(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make("w1")
    Host(monkeypatch, "old", "")
    monkeypatch.setattr(out_of_service, "SECONDS_TO_BOOT", -1.0)
    with pytest.raises(HostError, match="w1 did not come back within") as failed:
        take(out_of_service.reboot(context.plan.hosts[3], "old"), context)
    assert "continues from there" in failed.value.hint

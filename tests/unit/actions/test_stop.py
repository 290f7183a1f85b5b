"""What stop stops, in which order, and what start starts."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.actions import start as starting
from k8sbootstrap.actions import stop as stopping
from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.start import StartContext, is_to_do, steps
from k8sbootstrap.actions.stop import StopContext, of_cluster, of_host
from k8sbootstrap.actions.switch import CONTROL_PLANE, ETCD, NODES, groups, start_on, stop_on
from k8sbootstrap.errors import HostError, PreflightError
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.changes import Change
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.session import Run
from tests.cluster_yaml import cluster_yaml
from tests.unit.checks.test_removal import Case
from tests.unit.hosts.sessions import ScriptedSession, unreachable

NAMES = ("m1", "m2", "m3", "w1", "w2")
STOPPED = {
    "kubelet": (Change(text="start kubelet", kind="unit", action="start", name="kubelet.service"),),
    "host": (Change(text="set x", kind="sysctl", action="set", name="x"),),
}


@pytest.fixture
def plan(cluster_file: Path) -> ClusterPlan:
    cluster_file.write_text(cluster_yaml(*NAMES))
    return load_plan(cluster_file)


@pytest.fixture
def case(plan: ClusterPlan, monkeypatch: pytest.MonkeyPatch) -> Case:
    made = Case(plan)
    for module in (stopping, starting):
        monkeypatch.setattr(module, "look_at_hosts", lambda *_: made.findings())
        monkeypatch.setattr(module, "look_at_etcd", lambda *_: made.etcd())
    return made


@pytest.fixture
def stop(plan: ClusterPlan, cluster_file: Path, run: Run, case: Case) -> Callable[..., StopContext]:
    def made(*names: str) -> StopContext:
        context = StopContext.begin(plan, cluster_file, run, Pool(unreachable), RunOptions())
        context.names = names
        with run.step("look", "Look") as step:
            stopping.look(context, step)
        return context

    return made


@pytest.fixture
def start(plan: ClusterPlan, cluster_file: Path, run: Run, case: Case) -> Callable[..., StartContext]:
    def made(*names: str) -> StartContext:
        context = StartContext.begin(plan, cluster_file, run, Pool(unreachable), RunOptions())
        context.names = names or NAMES
        with run.step("look", "Look") as step:
            starting.look(context, step)
        return context

    return made


def test_hosts_stop_one_after_another(stop: Callable[..., StopContext]) -> None:
    context = stop("m2", "w1")
    assert [each.host.name for each in context.outages] == ["w1", "m2"]
    worker, master = context.outages
    assert [step.name for step in of_host(worker)] == ["drain", "stop"]
    assert [step.name for step in of_host(master)] == ["drain", "spare", "stop", "after"]
    assert stopping.lines_of(context) == [
        "w1: its pods move to other nodes, all services of the cluster there stop",
        "m2: its pods move to other nodes, all services of the cluster there stop",
        "etcd: without m2 2 of 3 members are healthy, and 0 of them may fail",
    ]


def test_the_quorum_stays(stop: Callable[..., StopContext], case: Case) -> None:
    with pytest.raises(PreflightError, match="after m1, etcd would have no quorum without m2"):
        stop("m1", "m2")
    case.down = {"m3"}
    with pytest.raises(PreflightError, match="etcd would have no quorum without m1"):
        stop("m1")


@pytest.mark.parametrize("names", [(), NAMES])
def test_the_whole_cluster(
    stop: Callable[..., StopContext], case: Case, shown: Callable[[], str], names: tuple[str, ...]
) -> None:
    """Whatever is down: no pod moves, and no quorum is needed."""
    case.down = {"m2", "m3"}
    context = stop(*names)
    assert context.outages == ()
    assert [step.name for step in of_cluster(context.reached)] == [
        "stop_workers",
        "stop_masters",
        "stop_control_plane",
        "stop_etcd",
    ]
    assert stopping.lines_of(context) == [
        "all pods and all services of the cluster on m1, w1, w2: workers first, etcd last"
    ]
    assert "not reached, and left as it is: m2: no answer within 10 s" in shown()


def test_a_cluster_that_does_not_answer_at_all(stop: Callable[..., StopContext], case: Case) -> None:
    case.down = set(NAMES)
    with pytest.raises(PreflightError, match="m1 can't be reached"):
        stop()


def test_a_cluster_without_workers(plan: ClusterPlan) -> None:
    assert next(step.name for step in of_cluster(plan.masters)) == "stop_masters"


def test_pods_end_between_the_kubelet_and_the_runtime(plan: ClusterPlan) -> None:
    """Else the kubelet would start them again, and nothing would end them."""
    worker, master = plan.hosts[3], plan.hosts[0]
    assert groups(plan, worker, NODES) == [
        ["kubelet.service", "kube-proxy.service"],
        ["kubepods.slice"],
        ["docker.service", "cri-dockerd.service", "haproxy.service"],
    ]
    assert groups(plan, master, CONTROL_PLANE) == [
        ["kube-apiserver.service", "kube-controller-manager.service", "kube-scheduler.service"]
    ]
    assert groups(plan, master, ETCD) == [["etcd.service"]]
    assert groups(plan, worker, ETCD) == []
    everything = [unit for group in groups(plan, master, (*NODES, *CONTROL_PLANE, *ETCD)) for unit in group]
    assert everything[0] == "kubelet.service"
    assert "etcd.service" in everything


def test_only_what_does_not_run_is_to_do(start: Callable[..., StartContext], case: Case) -> None:
    assert not is_to_do(start())
    case.other = {
        "w1": {"drift": STOPPED},
        "m1": {"cordoned": {"w2": "stop", "m3": "1.37.2", "m2": "reboot:1"}},
    }
    context = start()
    assert is_to_do(context)
    assert starting.lines_of(context) == [
        "w1: kubelet.service start",
        "m2: its node takes pods again",
        "w2: its node takes pods again",
    ]
    assert not is_to_do(start("m1"))


def test_etcd_starts_first_and_pods_come_last(start: Callable[..., StartContext]) -> None:
    context = start("m1", "w1")
    assert [step.name for step in steps(context.chosen)] == [
        "start_etcd",
        "start_control_plane",
        "start_nodes",
        "well",
        "well",
        "look",
        "uncordon",
        "uncordon",
    ]
    assert next(step.name for step in steps(start("w1").chosen)) == "start_nodes"


def test_a_member_does_not_start_alone(start: Callable[..., StartContext], case: Case) -> None:
    """It would wait for the others, and fail."""
    case.ill = {"m1", "m2", "m3"}
    with pytest.raises(PreflightError, match="1 of 3 members would run, and 2 must") as refused:
        start("m1", "w1")
    assert refused.value.hint == "Start m2 or m3, too, or all: k8sbootstrap start."
    start("m1", "m3")
    start()
    case.ill = {"m1"}
    start("m1")


class Asked:
    """Hosts that do what they are told, but for one."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.fails = ""

    def reply(self, host: str, _command: str, stdin: str) -> RunAnswer:
        self.asked[host] = json.loads(stdin.partition("\n")[0])
        problem = "systemctl stop failed" if host == self.fails else ""
        return RunAnswer(0, json.dumps({"done": True, "problem": problem}), "")

    def pool(self) -> Pool:
        return Pool(lambda target: ScriptedSession(target, self.reply))


def test_many_hosts_are_told_at_once_and_all_failures_are_said(
    plan: ClusterPlan, cluster_file: Path, run: Run
) -> None:
    hosts = Asked()
    context = replace(
        RunContext.begin(plan, cluster_file, run, hosts.pool(), RunOptions()), found=Case(plan).findings()
    )
    with run.step("one", "One") as step:
        start_on(plan.hosts, ETCD)(context, step)
        assert hosts.asked == {
            name: {"do": "start", "units": ["etcd.service"]} for name in ("m1", "m2", "m3")
        }
        hosts.fails = "m2"
        with pytest.raises(HostError, match=r"^m2: systemctl stop failed$"):
            stop_on(plan.masters, ETCD)(context, step)
    assert hosts.asked["m3"] == {"do": "stop", "groups": [["etcd.service"]]}

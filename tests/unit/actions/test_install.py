import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8sbootstrap.actions.context import RunContext
from k8sbootstrap.actions.install import ask_user, install, is_to_do, remember_hosts, require_all, verify
from k8sbootstrap.actions.plan import rehearse
from k8sbootstrap.actions.step import Step, take
from k8sbootstrap.config.past_hosts import remembered
from k8sbootstrap.errors import HostError, VerifyError
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.run.session import Run
from k8sbootstrap.survey.record import HostFinding
from k8sbootstrap.survey.todo import HostFindings, Survey, Work
from tests.unit.checks.cluster.healthy import make_plan, node_of
from tests.unit.checks.cluster.scripted import Cluster

from .conftest import MakeContext

LOST = {"worker1": HostError("worker1 (192.0.2.21): no answer within 10 s")}
TODO = Survey({"master1": {"etcd": Work(("new",))}, "worker1": {"kubelet": Work(("drift",))}})


class RecordingRun(Run):
    """Keeps what playbooks it is given, and runs none."""

    def playbook(self, playbook: Path, *given: Any, check: bool = False, is_part: bool = False) -> None:
        assert not is_part
        self.given = (playbook, *given, check)


def take_one(do: Callable[..., None], context: RunContext) -> None:
    take([Step("one", "One", do)], context, context.run.step)


@pytest.mark.parametrize(("todo", "is_some"), [(Survey({}), False), (Survey({}, LOST), False), (TODO, True)])
def test_hosts_that_do_not_answer_are_nothing_to_do(
    new_context: MakeContext,
    todo: Survey,
    is_some: bool,  # noqa: FBT001
) -> None:
    context = new_context()
    context.todo = todo
    assert is_to_do(context) is is_some


def test_the_user_is_asked_about_what_is_to_do(new_context: MakeContext) -> None:
    asked: list[Survey] = []
    context = new_context(confirm=asked.append)
    context.todo = TODO
    take_one(ask_user, context)
    assert asked == [TODO]
    take_one(ask_user, new_context())  # not at a terminal


@pytest.mark.parametrize(("do", "check"), [(install, False), (rehearse, True)])
def test_only_roles_and_hosts_with_something_to_do_are_in_the_playbook(
    new_context: MakeContext,
    do: Callable[..., None],
    check: bool,  # noqa: FBT001
) -> None:
    context = new_context()
    context.run = RecordingRun(context.run.state, context.run.record, context.run.reporter)
    context.todo = TODO.limited(["worker1"])
    take_one(do, context)
    playbook, hosts, inventory, checked = context.run.given
    assert {path.name for path in playbook.parent.iterdir()} == {"site.yml", "kubelet.yml"}
    assert (hosts, inventory, checked) == (context.plan.hosts, context.inventory_folder, check)
    assert playbook.is_relative_to(context.run.record.directory)


def test_nodes_are_given_back_after_all_that_they_need(new_context: MakeContext) -> None:
    context = new_context()
    context.run = RecordingRun(context.run.state, context.run.record, context.run.reporter)
    context.todo = Survey({"worker1": {"kube_proxy": Work(("drift",)), "node_uncordon": Work(("remove",))}})
    take_one(install, context)
    playbook = context.run.given[0]
    plays = yaml.safe_load((playbook.parent / "uncordon.yml").read_text())
    assert [play["hosts"] for play in plays] == ["worker1"]
    order = [play["ansible.builtin.import_playbook"] for play in yaml.safe_load(playbook.read_text())]
    assert order == ["kube_proxy.yml", "uncordon.yml"]


def test_hosts_that_are_in_the_cluster_or_get_there_are_remembered(new_context: MakeContext) -> None:
    """Not those that are left out: nothing of the cluster is there."""
    context = new_context()
    take_one(remember_hosts, context)
    assert remembered(context.state) == {}
    context.todo = Survey({"worker1": {"kubelet": Work(("new",))}})
    take_one(remember_hosts, context)
    assert list(remembered(context.state)) == ["worker1"]
    finding = HostFinding("demo", {}, {}, {}, None, "")
    context.todo, context.found = Survey({}), HostFindings({"master1": finding})
    take_one(remember_hosts, context)
    known = remembered(context.state)
    assert {name: each.is_etcd for name, each in known.items()} == {"master1": True, "worker1": False}


@pytest.mark.parametrize("ready", [True, False])
def test_what_verify_saw_is_recorded_however_it_ends(
    new_context: MakeContext,
    shown: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ready: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr("k8sbootstrap.checks.framework.SETTLE", 0.0)
    plan = make_plan(tmp_path)

    def node(*given: Any) -> dict[str, Any]:
        made = node_of(*given)
        if not ready and made["metadata"]["name"] == "w2":
            made["status"]["conditions"][1] = {
                "type": "Ready",
                "status": "False",
                "message": "kubelet stopped",
            }
        return made

    context = replace(new_context(Pool(Cluster(plan, node=node).connect)), plan=plan)
    if ready:
        take_one(verify, context)
    else:
        with pytest.raises(VerifyError, match=r"nodes \(w2\)"):
            take_one(verify, context)
    kept = context.run.record.directory / "verify.json"
    assert json.loads(kept.read_text())["ok"] is ready
    assert kept.stat().st_mode & 0o777 == 0o600
    assert ("One: nodes (w2): " in shown()) is not ready
    assert "nodes (w1)" not in shown()


def test_verify_leaves_out_hosts_that_did_not_answer(
    new_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("k8sbootstrap.checks.framework.SETTLE", 0.0)
    plan = make_plan(tmp_path)
    context = replace(new_context(Pool(Cluster(plan, dead={"w2"}).connect)), plan=plan)
    context.todo = Survey({}, {"w2": HostError("w2: no answer")})
    take_one(verify, context)


def test_hosts_that_were_left_out_are_reported(new_context: MakeContext) -> None:
    context = new_context()
    take_one(require_all, context)
    context.todo = Survey({}, LOST)
    with pytest.raises(
        HostError,
        match=r"1 of 2 hosts could not be reached; the other hosts are now as cluster.yaml says\n.*no answer",
    ):
        take_one(require_all, context)

"""The steps of up that restore a backup, on hosts that answer from a script; stopped and begun again."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.actions import rebuild, restore_snapshot
from k8sbootstrap.actions.backup import restoration
from k8sbootstrap.actions.backup.restoration import Restoration
from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.rebuild import UpContext
from k8sbootstrap.actions.restore_hosts import Staged
from k8sbootstrap.actions.restore_snapshot import BUMP
from k8sbootstrap.actions.step import take
from k8sbootstrap.actions.up import UP
from k8sbootstrap.config.models.hosts import Host
from k8sbootstrap.config.past_hosts import PastHost, remember, remembered
from k8sbootstrap.errors import HostError, PreflightError, StateError
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.pki.offer import KEPT
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.session import Run
from k8sbootstrap.state import State
from k8sbootstrap.survey.etcd_members import EtcdReport
from k8sbootstrap.survey.record import HostFinding
from k8sbootstrap.survey.todo import HostFindings, Survey, Work
from tests.unit.hosts.sessions import ScriptedSession

CONTENT = b"snapshot"
STEPS = [step for step in UP if step.name in {"backup", *(each.name for each in rebuild.RESTORING)}]
ROLES = ("host", "etcd", "kube_apiserver", "cluster_rbac", "packages", "kubelet")
BARE = HostFinding(cluster="", digests={}, drift={}, routes={}, pod_cidrs=None, api_error="")
OURS = replace(BARE, cluster="demo")


@dataclass
class Hosts:
    """What hosts have, and all that is done to them; a step can be made to fail."""

    done: list[str] = field(default_factory=list)
    """Steps in their order, without those that repeat on other hosts."""
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    parts: list[tuple[str, Survey]] = field(default_factory=list)
    fails: str = ""
    seen: dict[str, HostFinding] = field(default_factory=lambda: {"master1": BARE, "worker1": BARE})
    unreachable: dict[str, HostError] = field(default_factory=dict)

    def note(self, do: str) -> None:
        if self.done[-1:] != [do]:
            self.done.append(do)
        if do == self.fails:
            raise HostError(f"master1: {do} failed")

    def answer(self, host: str, _command: str, stdin: str) -> RunAnswer:
        wanted = json.loads(stdin.partition("\n")[0])
        do = wanted.pop("do")
        self.asked.append((host, do, wanted))
        if do == self.fails:
            failed = {"problem": "the disk is full"}
            return RunAnswer(0, json.dumps(failed if do != "delete" else {"done": False, **failed}), "")
        self.done.append(do)
        return RunAnswer(0, json.dumps({"done": True, "problem": ""}), "")

    def wanted(self, do: str) -> list[dict[str, Any]]:
        return [wanted for _, each, wanted in self.asked if each == do]


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    found = Hosts()

    def send(_pool: object, _hosts: object, identity: str, file: Any) -> Staged:
        found.asked.append(("", "stage", {"identity": identity, "sha256": file.sha256}))
        found.note("stage")
        return Staged(9000, 700, 12)

    def install(_context: object, part: Survey, name: str) -> None:
        found.parts.append((name, part))
        found.note(name)
        ready = replace(OURS, pod_cidrs={}) if "control-plane" in name else OURS
        found.seen = dict.fromkeys(found.seen, ready)

    monkeypatch.setattr(restore_snapshot, "stage", send)
    monkeypatch.setattr(rebuild, "install_part", install)
    monkeypatch.setattr(rebuild, "look_at_hosts", lambda *_: HostFindings(found.seen, found.unreachable))
    monkeypatch.setattr(rebuild, "compare", lambda *_: todo())
    return found


def todo() -> Survey:
    return Survey(
        {"master1": {role: Work(("new",)) for role in ROLES}, "worker1": {"kubelet": Work(("new",))}}
    )


@pytest.fixture
def copied(state: State) -> Restoration:
    """A backup that was taken into the state directory."""
    found = Restoration(
        id="restore-20261130T000000Z",
        stage="copied",
        backup="b",
        source="/media/demo.backup",
        created="2026-11-30T00:55:08+00:00",
        revision=700,
        snapshot=hashlib.sha256(CONTENT).hexdigest(),
        members={},
        gone=("worker8", "worker9"),
        bump=BUMP,
    )
    state.create()
    restoration.write(state, found)
    restoration.snapshot_of(state).write_bytes(CONTENT)
    for name in KEPT:
        path = state.restore / "pki" / name
        path.parent.mkdir(exist_ok=True)
        path.parent.joinpath("etcd").mkdir(exist_ok=True)
        path.write_text(name)
    (state.restore / "artifact-pins.json").write_text("{}")
    return found


Go = Callable[..., UpContext]


@pytest.fixture
def go(plan: ClusterPlan, cluster_file: Path, run: Run, hosts: Hosts) -> Go:
    """Does the steps of a restore; without ``restore`` as plain ``up``."""

    def do(*, restore: bool = False, plan: ClusterPlan = plan, **options: Any) -> UpContext:
        pool = Pool(lambda target: ScriptedSession(target, hosts.answer))
        context = UpContext.begin(plan, cluster_file, run, pool, RunOptions(restore=restore, **options))
        context.recall()
        context.todo = todo()
        take(STEPS, context, run.step)
        return context

    return do


def stage_of(state: State) -> str:
    found = restoration.read(state)
    return found.stage if found else ""


ALL = ["playbooks-etcd", "stage", "place", "start", "finish", "playbooks-control-plane", "delete", "delete"]


def test_etcd_gets_its_data_before_anything_uses_it(
    go: Go, hosts: Hosts, copied: Restoration, state: State, plan: ClusterPlan
) -> None:
    context = go(restore=True)
    assert hosts.done == ALL
    (etcd, first), (control_plane, second) = hosts.parts
    assert (etcd, control_plane) == ("playbooks-etcd", "playbooks-control-plane")
    assert list(first.work) == ["master1"]
    assert set(first.work["master1"]) == {"host", "etcd", "packages"}  # it notes what was there before
    assert set(second.work["master1"]) == set(ROLES) - {"kubelet"}
    (placed,) = hosts.wanted("place")
    identity = hosts.wanted("stage")[0]["identity"]
    assert (first.etcd_restoring, second.etcd_restoring) == (identity, "")
    assert (first.last_phase, second.last_phase) == ("etcd", "control_plane")
    assert placed == {
        "name": "master1",
        "members": {"master1": str(plan.etcd_members[0].private_address)},
        "token": f"demo-{identity}",
        "bump": BUMP,
    }
    assert [wanted["name"] for wanted in hosts.wanted("delete")] == ["worker8", "worker9"]
    assert (context.restoring, stage_of(state)) == ("", "done")
    assert not restoration.snapshot_of(state).exists()


def test_the_state_directory_gets_what_the_old_one_had(go: Go, copied: Restoration, state: State) -> None:
    go(restore=True)
    assert {name: (state.pki / name).read_text() for name in KEPT} == {name: name for name in KEPT}
    assert state.artifact_pins.read_text() == "{}"
    modes = {path.stat().st_mode & 0o777 for path in state.pki.rglob("*.key")}
    assert modes == {0o600}


def test_newer_pins_stay(go: Go, copied: Restoration, state: State) -> None:
    state.artifact_pins.write_text('{"a": 1}')
    go(restore=True)
    assert state.artifact_pins.read_text() == '{"a": 1}'


def test_hosts_that_are_no_more_are_forgotten(go: Go, copied: Restoration, state: State) -> None:
    remember(state, [PastHost(Host(name="worker8", address="10.0.0.28", roles=["worker"]), is_etcd=False)])
    (state.pki / "hosts/worker8").mkdir(parents=True)
    go(restore=True)
    assert remembered(state) == {}
    assert not (state.pki / "hosts/worker8").exists()


def test_without_such_nodes_the_control_plane_has_no_run_of_its_own(
    go: Go, hosts: Hosts, copied: Restoration, state: State
) -> None:
    restoration.write(state, replace(copied, gone=()))
    go(restore=True)
    assert hosts.done == ALL[:5]


@pytest.mark.parametrize("plain", [True, False], ids=["up", "up --restore"])
@pytest.mark.parametrize("step", [*ALL[:6], "delete"])
def test_stopped_anywhere_it_goes_on(
    go: Go, hosts: Hosts, copied: Restoration, state: State, step: str, *, plain: bool
) -> None:
    hosts.fails = step
    with pytest.raises(HostError):
        go(restore=True)
    assert stage_of(state) == ("nodes" if step in {"playbooks-control-plane", "delete"} else "etcd")
    begun = restoration.read(state)
    hosts.fails = ""
    hosts.done.clear()
    hosts.seen = dict.fromkeys(hosts.seen, replace(OURS, pod_cidrs={}))
    go(restore=not plain)
    assert begun is not None
    assert hosts.done == (ALL[5:] if begun.stage == "nodes" else ALL)
    assert {wanted["identity"] for wanted in hosts.wanted("stage")} == {begun.id}
    assert {(wanted["token"], wanted["bump"]) for wanted in hosts.wanted("place")} <= {
        (f"demo-{begun.id}", BUMP)
    }
    assert stage_of(state) == "done"


def test_it_is_not_done_twice(go: Go, hosts: Hosts, copied: Restoration, state: State) -> None:
    go(restore=True)
    hosts.done.clear()
    go()
    assert hosts.done == []
    again = restoration.read(state)
    assert again is not None
    restoration.write(state, replace(again, stage="copied"))  # as take_in does
    context = go(restore=True)
    assert hosts.done == []
    assert (context.restoring, stage_of(state)) == ("", "done")


def test_one_that_nobody_confirmed_is_forgotten(
    go: Go, hosts: Hosts, copied: Restoration, state: State
) -> None:
    assert go().restoring == ""
    assert hosts.done == []
    assert not state.restore.exists()


@pytest.mark.parametrize(
    ("finding", "said"),
    [
        (OURS, "worker1 is not empty: it has the cluster demo."),
        (replace(BARE, cluster="other"), "worker1 is not empty: it has the cluster other."),
        (replace(BARE, etcd=EtcdReport(data=True)), "worker1 is not empty: it has data of an etcd."),
    ],
)
@pytest.mark.usefixtures("copied")
def test_hosts_must_be_empty(go: Go, hosts: Hosts, state: State, finding: HostFinding, said: str) -> None:
    hosts.seen["worker1"] = finding
    with pytest.raises(PreflightError) as raised:
        go(restore=True)
    assert said in str(raised.value)
    assert "k8sbootstrap reset, then the same command again" in raised.value.hint
    assert hosts.done == []
    assert stage_of(state) == "copied"
    assert not state.pki.exists()


def test_all_hosts_must_answer_at_first(go: Go, hosts: Hosts, copied: Restoration) -> None:
    hosts.unreachable["worker1"] = HostError("worker1: no route")
    with pytest.raises(PreflightError, match="worker1 can't be reached: worker1: no route"):
        go(restore=True)


def test_it_has_to_do_with_all_hosts(go: Go, copied: Restoration) -> None:
    with pytest.raises(PreflightError, match="a restore has to do with all hosts"):
        go(restore=True, limit=("master1",))


def test_members_stay_those_that_it_began_with(
    go: Go, hosts: Hosts, copied: Restoration, cluster_file: Path
) -> None:
    hosts.fails = "place"
    with pytest.raises(HostError):
        go(restore=True)
    cluster_file.write_text(cluster_file.read_text().replace("10.0.0.11", "10.0.0.12"))
    with pytest.raises(PreflightError) as raised:
        go(plan=load_plan(cluster_file))
    assert "members of etcd master1 (10.0.0.11), and cluster.yaml says master1 (10.0.0.12)" in str(
        raised.value
    )


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"x")])
def test_the_copy_is_gone_or_damaged(
    go: Go, hosts: Hosts, copied: Restoration, state: State, damage: Callable[[Path], None]
) -> None:
    hosts.fails = "playbooks-etcd"
    with pytest.raises(HostError):
        go(restore=True)
    damage(restoration.snapshot_of(state))
    with pytest.raises(StateError, match="the copy of the backup can't be used") as raised:
        go()
    assert raised.value.hint.startswith("Run k8sbootstrap up --restore /media/demo.backup again")


def test_what_is_going_to_be_done_is_said_before(
    go: Go, copied: Restoration, shown: Callable[[], str]
) -> None:
    go(restore=True)
    said = shown()
    assert "demo comes back as of 2026-11-30T00:55:08+00:00, revision 700; what came later is lost" in said
    assert "etcd gets the data of the backup: master1 (10.0.0.11)" in said
    assert "nodes that cluster.yaml no longer has are deleted, with their pods: worker8, worker9" in said


def test_other_runs_have_no_restore(go: Go, hosts: Hosts, state: State) -> None:
    assert go().restoration is None
    assert hosts.done == []
    assert not rebuild.is_at("copied")(RunContext.__new__(RunContext))


def test_nothing_is_done_before_the_user_agrees() -> None:
    names = [step.name for step in UP]
    assert names[0] == "backup"
    assert (
        names.index("confirm") < names.index("begin") < names.index("install_etcd") < names.index("install")
    )

"""The steps of restore and recover on hosts that answer from a script; stopped and begun again."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.actions import etcd_restore, restore_hosts, restore_snapshot
from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.etcd_restore import RECOVER, RESTORE
from k8sbootstrap.actions.restore_snapshot import BUMP, RestoreContext
from k8sbootstrap.actions.step import take
from k8sbootstrap.checks.restoring import Rebuilt
from k8sbootstrap.errors import HostError, PreflightError
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.session import Run
from k8sbootstrap.survey.etcd_voters import Voters
from k8sbootstrap.survey.status.etcd import EtcdState
from k8sbootstrap.survey.status.models import EtcdSnapshot
from k8sbootstrap.survey.todo import HostFindings
from tests.unit.hosts.sessions import ScriptedSession

CONTENT = b"snapshot"
SHA = hashlib.sha256(CONTENT).hexdigest()
WHEN = datetime(2026, 11, 29, 19, tzinfo=UTC)


class Cluster:
    """What hosts are asked to do; a step can be made to fail."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.fails = ""
        self.marks: dict[str, str] = {}
        self.revision = 4711
        self.objects: list[str] = []

    def answer(self, host: str, _command: str, stdin: str) -> RunAnswer:
        wanted = json.loads(stdin.partition("\n")[0])
        do = wanted.pop("do")
        self.asked.append((host, do, wanted))
        return RunAnswer(0, json.dumps(self.reply(host, do, wanted)), "")

    def reply(self, host: str, do: str, wanted: dict[str, Any]) -> dict[str, Any]:
        if do == self.fails:
            return {"problem": "the disk is full\x1b[2J"}
        if do == "stage":
            return {"bytes": 9000, "revision": 700, "keys": 12}
        if do == "extract":
            return {"path": "/kept/x.db", "bytes": len(CONTENT), "sha256": SHA, "revision": 700, "keys": 1}
        if do == "read":
            return {"block": base64.b64encode(CONTENT[wanted["offset"] :]).decode()}
        if do == "mark":
            self.marks[host] = wanted["identity"]
        if do == "finish":
            self.marks.pop(host, None)
        return {
            "fetch": {"path": "/fetched/x.db", "bytes": len(CONTENT), "sha256": SHA},
            "list": {"entries": [{"object": each, "bytes": 8} for each in self.objects]},
        }.get(do, {"done": True})

    def done(self, *skip: str) -> list[str]:
        """Steps in their order, without those that repeat on other hosts."""
        return [do for do in dict.fromkeys(do for _, do, _ in self.asked) if do not in skip]

    def wanted(self, do: str) -> list[dict[str, Any]]:
        return [wanted for _, each, wanted in self.asked if each == do]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    found = Cluster()

    def look(context: RestoreContext, _step: object) -> None:
        hosts = context.plan.etcd_members
        resumes = next(iter(found.marks.values()), "")
        context.hosts = Rebuilt(hosts, context.plan.masters, (), found.revision, resumes)

    steps = {"look": look, "verify": lambda *_: None}
    for name in ("RESTORE", "RECOVER"):
        changed = [
            step if step.name not in steps else type(step)(step.name, step.title, steps[step.name])
            for step in getattr(etcd_restore, name)
        ]
        monkeypatch.setattr(etcd_restore, name, tuple(changed))

    def send(_pool: object, hosts: Any, identity: str, file: Any) -> Any:
        for host in hosts:
            found.asked.append((host.name, "stage", {"identity": identity, "sha256": file.sha256}))
        if found.fails == "stage":
            raise HostError("master1: the disk is full")
        return restore_hosts.Staged(9000, 700, 12)

    monkeypatch.setattr(restore_snapshot, "stage", send)
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "20261129T190000Z-on-demand.db"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def go(plan: ClusterPlan, cluster_file: Path, run: Run, cluster: Cluster) -> Callable[..., RestoreContext]:
    """Does a restore, or with ``survivor`` a recovery."""

    def do(**fields: Any) -> RestoreContext:
        pool = Pool(lambda target: ScriptedSession(target, cluster.answer))
        context = RestoreContext.begin(plan, cluster_file, run, pool, RunOptions())
        for name, value in fields.items():
            setattr(context, name, value)
        steps = etcd_restore.RECOVER if context.survivor else etcd_restore.RESTORE
        take(steps, context, run.step)
        return context

    return do


def test_api_servers_stop_first_and_start_last(go, cluster: Cluster, file: Path) -> None:
    context = go(file=file)
    assert cluster.done() == ["stage", "mark", "stop", "place", "start", "finish"]
    control_plane = [f"kube-{name}.service" for name in ("apiserver", "controller-manager", "scheduler")]
    assert [each["units"] for each in cluster.wanted("stop")] == [control_plane, ["etcd.service"]]
    started = [[unit["unit"] for unit in each["units"]] for each in cluster.wanted("start")]
    assert started == [["etcd.service"], control_plane[:1], control_plane[1:]]
    (placed,) = cluster.wanted("place")
    identity = context.restore.id
    assert placed == {
        "name": "master1",
        "members": {"master1": str(context.plan.etcd_members[0].private_address)},
        "token": f"demo-{identity}",
        "bump": BUMP,
    }
    assert re.fullmatch(r"restore-\d{8}T\d{6}Z", identity)
    assert cluster.marks == {}
    assert not context.note.exists()
    assert (context.source, f"{context.taken:%H:%M}") == (str(file), "19:00")


def test_health_is_asked_as_on_the_component(go, cluster: Cluster, file: Path) -> None:
    go(file=file)
    health = {each["unit"]: each["health"] for wanted in cluster.wanted("start") for each in wanted["units"]}
    assert health["etcd.service"] == {
        "url": "https://127.0.0.1:2379/health?exclude=NOSPACE",
        "ca": "/etc/etcd/pki/ca.crt",
        "cert": "/etc/etcd/pki/healthcheck-client.crt",
        "key": "/etc/etcd/pki/healthcheck-client.key",
    }
    assert health["kube-scheduler.service"] == {"url": "https://127.0.0.1:10259/healthz"}


def test_the_revision_never_goes_back(go, cluster: Cluster, file: Path) -> None:
    cluster.revision = 3 * BUMP
    assert go(file=file).restore.bump == 4 * BUMP - 700
    assert cluster.wanted("place")[0]["bump"] + 700 > cluster.revision


def test_one_that_continues_begins_at_the_same_revision_everywhere(go, cluster: Cluster, file: Path) -> None:
    """Also where members that were placed before the stop run already, so that etcd's revision is higher."""
    cluster.fails = "start"
    with pytest.raises(HostError):
        go(file=file)
    cluster.fails, cluster.revision = "", 700 + 2 * BUMP
    go(file=file)
    assert {wanted["bump"] for wanted in cluster.wanted("place")} == {BUMP}


@pytest.mark.parametrize("step", ["mark", "stop", "place", "start", "finish"])
def test_stopped_anywhere_it_goes_on(go, cluster: Cluster, file: Path, step: str) -> None:
    cluster.fails = step
    with pytest.raises(HostError, match=r"^master1: the disk is full") as raised:
        go(file=file)
    assert "run the same command again" in raised.value.hint
    first = cluster.wanted("mark")[0]["identity"]
    cluster.fails = ""
    if step == "mark":  # then nothing was begun
        cluster.asked.clear()
        go(file=file)
        return
    context = go(file=file)
    assert context.restore.id == first
    assert {each["identity"] for each in cluster.wanted("mark")} == {first}
    assert cluster.marks == {}


def test_another_snapshot_is_another_restore(go, cluster: Cluster, file: Path) -> None:
    cluster.fails = "place"
    with pytest.raises(HostError):
        go(file=file)
    cluster.fails = ""
    cluster.marks = dict.fromkeys(cluster.marks, "restore-before")
    file.write_bytes(b"other")
    assert go(file=file).restore.id != "restore-before"
    assert cluster.marks == {}


def test_a_snapshot_that_cannot_be_used_changes_nothing(go, cluster: Cluster, file: Path) -> None:
    cluster.fails = "stage"
    with pytest.raises(HostError):
        go(file=file)
    assert cluster.done() == ["stage", "discard"]


def test_a_user_who_says_no_leaves_nothing(go, cluster: Cluster, file: Path) -> None:
    def refuse(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(file=file, confirm=refuse)
    assert cluster.done() == ["stage", "discard"]
    cluster.asked.clear()
    cluster.marks = {"master1": "restore-before"}
    with pytest.raises(KeyboardInterrupt):
        go(file=file, confirm=refuse)
    assert cluster.done() == ["stage"]


def test_the_newest_of_a_host(go, cluster: Cluster) -> None:
    context = go(newest=EtcdSnapshot("master1", "/kept/x.db", len(CONTENT), WHEN))
    assert cluster.done()[:2] == ["read", "stage"]
    assert context.restore.sha256 == SHA
    assert (context.source, context.taken) == ("/kept/x.db of master1", WHEN)
    assert not context.copy.exists()


def test_there_is_none(go, cluster: Cluster) -> None:
    with pytest.raises(PreflightError, match="no host of etcd has a snapshot"):
        go()
    assert cluster.asked == []


def test_a_survivor(go, cluster: Cluster) -> None:
    context = go(survivor="master1")
    assert cluster.done() == ["mark", "stop", "extract", "read", "stage", "place", "start", "finish"]
    assert (context.restore.sha256, context.source) == (SHA, "the data of master1")
    assert not context.copy.exists()


@pytest.mark.parametrize("step", ["extract", "stage", "place", "start"])
def test_a_recovery_goes_on(go, cluster: Cluster, step: str) -> None:
    """What was made of the survivor's data is used again: its own is replaced by then."""
    cluster.fails = step
    with pytest.raises(HostError):
        go(survivor="master1")
    cluster.fails = ""
    first = cluster.wanted("mark")[0]["identity"]
    cluster.asked.clear()
    assert go(survivor="master1").restore.id == first
    assert ("extract" in cluster.done()) == (step == "extract")


def test_what_hosts_answer_is_checked(plan: ClusterPlan) -> None:
    def answer(*_: object) -> RunAnswer:
        return RunAnswer(0, '{"bytes": "x"}', "")

    pool = Pool(lambda target: ScriptedSession(target, answer))
    with pytest.raises(HostError, match="master1: its answer can't be used"):
        restore_hosts.have_done(pool, plan.etcd_members, "finish")
    with pytest.raises(HostError, match="master1: its answer can't be used"):
        restore_hosts.extract(pool, plan.etcd_members[0], "/kept")


def test_look_takes_the_state_of_etcd(
    plan: ClusterPlan, cluster_file: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = EtcdSnapshot("master1", "/x.db", 1, WHEN)
    seen = HostFindings({}, {"master1": HostError("master1: no route")})
    monkeypatch.setattr(etcd_restore, "look_at_hosts", lambda *_: seen)
    monkeypatch.setattr(etcd_restore.etcd, "look", lambda *_: None)
    monkeypatch.setattr(etcd_restore.etcd, "state", lambda _: EtcdState("demo", (), Voters(1, 0), (newest,)))
    context = RestoreContext.begin(plan, cluster_file, run, Pool(), RunOptions())
    with run.step("look", "Look") as step, pytest.raises(PreflightError, match="master1 can't be reached"):
        etcd_restore.look(context, step)
    assert context.newest == newest


def test_both_lists_end_alike() -> None:
    assert [step.name for step in RESTORE[-5:]] == [step.name for step in RECOVER[-5:]]
    assert [step.name for step in RESTORE].index("confirm") < [step.name for step in RESTORE].index("mark")
    assert [step.name for step in RECOVER].index("confirm") < [step.name for step in RECOVER].index("mark")


STORE = {"bucket": "backups", "folder": "demo"}
OLD, NEW = "a1/20261101T000000Z-timer.db.gz", "b2/20261130T000000Z-timer.db.gz"


def test_the_newest_is_fetched_from_the_bucket_where_no_host_has_it(go, cluster: Cluster) -> None:
    cluster.objects = [OLD, NEW]
    context = go(store=STORE)
    assert cluster.done()[:4] == ["list", "fetch", "read", "forget"]
    assert cluster.wanted("fetch") == [{"store": STORE, "object": NEW}]
    assert (context.source, f"{context.taken:%d}") == (f"s3://backups/demo/{NEW}", "30")
    assert context.restore.sha256 == SHA


@pytest.mark.parametrize("name", ["20261130T000000Z-timer.db.gz", "20261129T000000Z-timer.db.gz"])
def test_one_that_a_host_has_is_taken_from_there(go, cluster: Cluster, name: str) -> None:
    cluster.objects = [f"b2/{name}"]
    path = "/kept/20261130T000000Z-timer.db.gz"
    own = EtcdSnapshot("master1", path, len(CONTENT), WHEN)
    assert go(store=STORE, newest=own).source == f"{path} of master1"
    assert not cluster.wanted("fetch")


@pytest.mark.parametrize("name", [OLD, OLD.partition("/")[2], f"s3://backups/demo/{OLD}"])
def test_one_in_the_bucket_is_named(go, cluster: Cluster, name: str) -> None:
    cluster.objects = [OLD, NEW]
    go(store=STORE, object=name)
    assert cluster.wanted("fetch")[0]["object"] == OLD


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        ([NEW], "has no snapshot of the name"),
        ([OLD, OLD.replace("a1", "c3")], "has 2 snapshots of the name"),
        (["strange"], "can't be read"),
    ],
)
def test_a_name_that_the_bucket_has_not_or_has_twice(go, cluster: Cluster, objects, said: str) -> None:
    cluster.objects = objects
    with pytest.raises(PreflightError, match=f"(?s)s3://backups/demo {said}.*Nothing was changed"):
        go(store=STORE, object=OLD.partition("/")[2])
    assert cluster.done() == ["list"]


def test_there_is_none_at_all(go, cluster: Cluster) -> None:
    with pytest.raises(PreflightError, match=r"has a snapshot in .* and s3://backups/demo has none"):
        go(store=STORE)


def test_what_was_fetched_is_removed_also_where_it_can_not_be_copied(go, cluster: Cluster) -> None:
    cluster.objects, cluster.fails = [NEW], "read"
    with pytest.raises(HostError, match="can't be read"):
        go(store=STORE)
    assert cluster.done() == ["list", "fetch", "read", "forget"]

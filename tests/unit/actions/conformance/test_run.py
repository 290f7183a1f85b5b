"""A run of upstream's tests as the controller sees it; hosts answer from a script."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.actions.conformance import images, run
from k8sbootstrap.actions.conformance.images import load_images
from k8sbootstrap.actions.conformance.ready import Ready
from k8sbootstrap.actions.conformance.run import Asked, Pace, progress
from k8sbootstrap.actions.upload import Arrival
from k8sbootstrap.artifacts.fetch import Fetched
from k8sbootstrap.catalog.resolve import conformance
from k8sbootstrap.checks.conformance.answers import RUN, ToldRun
from k8sbootstrap.config.load import load_cluster
from k8sbootstrap.errors import HostError, VerifyError
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.ask import read
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import build_plan
from k8sbootstrap.plan.models import ClusterPlan
from tests.cluster_yaml import cluster_yaml
from tests.unit.hosts.sessions import ScriptedSession

Reply = Callable[[str, dict[str, Any]], dict[str, Any]]
TESTS = conformance("1.37.2", "amd64")
AGNHOST, BUSYBOX = TESTS.images[0], TESTS.images[2]


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    file = tmp_path / "cluster.yaml"
    file.write_text(cluster_yaml("master1", "master2", "etcd1", "worker1", "worker2"))
    return build_plan(load_cluster(file), file)


@pytest.fixture(autouse=True)
def _nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def arriving(*_: object) -> Iterator[Arrival]:
        yield Arrival("/var/tmp/there", lambda: "")

    for module in (run, images):
        monkeypatch.setattr(module, "arriving", arriving)
    monkeypatch.setattr(run, "POLL", 0.0)


@pytest.fixture
def ready(tmp_path: Path) -> Ready:
    """Both programs and one image are on the controller."""
    fetched = {}
    for file in (TESTS.e2e_test, TESTS.ginkgo, BUSYBOX.artifact):
        path = tmp_path / file.file
        path.write_text(file.key)
        fetched[file.key] = Fetched(path, hashlib.sha256(file.key.encode()).hexdigest(), "here")
    programs = {"e2e.test": fetched[TESTS.e2e_test.key], "ginkgo": fetched[TESTS.ginkgo.key]}
    return Ready({"amd64": programs}, {"amd64": TESTS.images}, fetched)


def pool(reply: Reply) -> Pool:
    def answer(host: str, _command: str, stdin: str) -> RunAnswer:
        return RunAnswer(0, json.dumps(reply(host, json.loads(stdin.partition("\n")[0]))), "")

    return Pool(lambda target: ScriptedSession(target, answer))


def told(unit: str = "running", done: int = 0, total: int = 3, **changed: Any) -> dict[str, Any]:
    part = {"name": "parallel", "processes": 2, "total": total, "done": done, "failed": 0, "results": []}
    return {"unit": unit, "copied": True, "error": "", "parts": [part]} | changed


def test_a_run_from_its_start_to_its_end(plan: ClusterPlan, ready: Ready) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    steps = iter([told(parts=[]), told(done=1), told("ended", 3)])

    def reply(host: str, request: dict[str, Any]) -> dict[str, Any]:
        asked.append((host, request))
        return told("ended", 3) if request["do"] == "stop" else next(steps)

    said: list[str] = []
    with pool(reply) as hosts:
        last = run.run(plan, hosts, ready, Asked("DNS", frozenset({"worker2"})), said.append)
    assert last.unit == "ended"
    assert [(host, request["do"]) for host, request in asked] == [
        ("master1", "start"),
        ("master1", "look"),
        ("master1", "look"),
        ("master1", "stop"),
    ]
    request = asked[0][1]["request"]
    ginkgo = ready.programs["amd64"]["ginkgo"].sha256
    assert request["files"]["ginkgo"] == {"path": f"/var/tmp/there/{ginkgo}", "sha256": ginkgo}
    assert request["focus"] == "DNS"
    assert "--allowed-not-ready-nodes=1" in request["arguments"]
    assert "--non-blocking-taints=node-role.kubernetes.io/control-plane" in request["arguments"]
    assert [part["filter"] for part in request["parts"]] == [
        "Conformance && !Serial && !Disruptive",
        "Conformance && (Serial || Disruptive)",
    ]
    assert said[1].startswith("1 of 3 tests, 0 failed, about ")


def test_a_run_whose_files_can_not_be_sent_ends_at_once_with_the_cause(
    plan: ClusterPlan, ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def broken(*_: object) -> Iterator[Arrival]:
        yield Arrival("/var/tmp/there", lambda: "head: No space left on device")

    monkeypatch.setattr(run, "arriving", broken)
    asked = []

    def reply(_host: str, request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request["do"])
        return told(copied=False, parts=[])

    wanted = "master1: the tests could not be sent: head: No space left on device"
    with pool(reply) as hosts, pytest.raises(HostError, match=wanted):
        run.run(plan, hosts, ready, Asked(), lambda _: None)
    assert asked == ["start", "look", "stop"]


def test_another_master_is_taken_where_the_first_does_not_answer(plan: ClusterPlan, ready: Ready) -> None:
    def connect(target: Any) -> ScriptedSession:
        if target.host == "master1":
            raise HostError("master1: no route")
        return ScriptedSession(target, lambda *_: RunAnswer(0, json.dumps(told("ended")), ""))

    with Pool(connect) as hosts:
        assert run.run(plan, hosts, ready, Asked(), lambda _: None).unit == "ended"
        with pytest.raises(VerifyError, match="no master answers: master1: no route"):
            run.run(plan, hosts, ready, Asked(allow_down=frozenset({"master2"})), lambda _: None)
        with pytest.raises(VerifyError, match="no master answers: all are known to be down"):
            run.run(plan, hosts, ready, Asked(allow_down=frozenset({"master1", "master2"})), lambda _: None)


def test_an_interrupted_run_is_stopped(plan: ClusterPlan, ready: Ready) -> None:
    asked = []

    def reply(_host: str, request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request["do"])
        if request["do"] == "look":
            raise KeyboardInterrupt
        return told()

    with pool(reply) as hosts, pytest.raises(KeyboardInterrupt):
        run.run(plan, hosts, ready, Asked(), lambda _: None)
    assert asked == ["start", "look", "stop"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (told("taken", 1), "master1: these tests are being run there already: 1 of 3 tests, 0 failed"),
        (told("gone"), "master1: the tests ended without a word"),
        (
            told("gone", error="systemd-run failed: no bus"),
            "ended without a word: systemd-run failed: no bus",
        ),
        (told("ended", total=0), "No test of Conformance has a name that matches no such"),
    ],
)
def test_a_run_that_says_nothing_of_the_cluster(
    plan: ClusterPlan, ready: Ready, answer: dict[str, Any], why: str
) -> None:
    with pool(lambda *_: answer) as hosts, pytest.raises(VerifyError, match=why):
        run.run(plan, hosts, ready, Asked("no such"), lambda _: None)


def test_a_host_that_comes_back_is_waited_for(
    plan: ClusterPlan, ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([HostError("master1: the connection broke"), told("ended", 3)])

    def reply(_host: str, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] != "look":
            return told()
        step = next(answers)
        if isinstance(step, HostError):
            raise step
        return step

    said: list[str] = []
    with pool(reply) as hosts:
        run.run(plan, hosts, ready, Asked(), said.append)
    assert "waiting for master1: master1: the connection broke" in said
    monkeypatch.setattr(run, "PATIENCE", -1.0)
    answers = iter([HostError("master1: gone")])
    with pool(reply) as hosts, pytest.raises(HostError, match="master1: gone"):
        run.run(plan, hosts, ready, Asked(), said.append)


def parsed(answer: dict[str, Any]) -> ToldRun:
    return read("master1", json.dumps(answer), RUN)


def test_how_long_it_takes_is_judged_by_tests_that_ended() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    assert pace.left(parsed(told(total=100))) == 100 * 30 / 2
    now = 40.0
    assert pace.left(parsed(told(done=20, total=100))) == 80 * 2
    serial = {"name": "serial", "processes": 1, "total": 4, "done": 0, "failed": 0, "results": []}
    both = told(done=100, total=100)
    both["parts"].append(serial)
    assert pace.left(parsed(both)) == 4 * 30
    assert progress(parsed(both)) == "100 of 104 tests, 0 failed"
    assert progress(parsed(told(parts=[]))) == "the tests are being counted"


def lacking(wanted: dict[str, dict[str, str]]) -> tuple[Reply, list[tuple[str, dict[str, Any]]]]:
    """Nodes lack all images at first; in the end each what ``wanted`` has."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def reply(host: str, request: dict[str, Any]) -> dict[str, Any]:
        asked.append((host, request))
        if "look" in request:
            return {"lacking": dict.fromkeys(request["look"], "it is not there")}
        return {"lacking": wanted.get(host, {})}

    return reply, asked


def test_nodes_are_sent_what_is_here_and_pull_the_rest(plan: ClusterPlan, ready: Ready) -> None:
    reply, asked = lacking({})
    with pool(reply) as hosts:
        assert load_images(plan, hosts, ready, {"worker2"}) == []
    assert {host for host, _ in asked} == {"worker1"}, "no pods of tests run on masters"
    request = asked[1][1]
    sha256 = ready.fetched[BUSYBOX.artifact.key].sha256
    assert request["load"] == [{"ref": BUSYBOX.ref, "path": f"/var/tmp/there/{sha256}", "sha256": sha256}]
    assert set(request["pull"]) == {image.ref for image in TESTS.images} - {BUSYBOX.ref}


def test_nodes_that_have_all_images_are_sent_nothing(plan: ClusterPlan, ready: Ready) -> None:
    asked = []

    def reply(host: str, request: dict[str, Any]) -> dict[str, Any]:
        asked.append(host)
        return {"lacking": {}}

    with pool(reply) as hosts:
        assert load_images(plan, hosts, ready, ()) == []
    assert sorted(asked) == ["worker1", "worker2"]


def test_images_that_are_nowhere_are_named(plan: ClusterPlan, ready: Ready) -> None:
    reply, _ = lacking({"worker1": {BUSYBOX.ref: "no such host"}, "worker2": {BUSYBOX.ref: "no such host"}})
    with pool(reply) as hosts:
        lines = load_images(plan, hosts, ready, ())
    assert lines == [f"{BUSYBOX.ref} is not on worker1, worker2: no such host"]


def test_without_the_image_that_nearly_all_tests_start_nothing_is_run(
    plan: ClusterPlan, ready: Ready
) -> None:
    reply, _ = lacking({"worker2": {AGNHOST.ref: "no such host"}})
    with pool(reply) as hosts, pytest.raises(VerifyError, match="is not on worker2: no such host") as caught:
        load_images(plan, hosts, ready, ())
    assert "agnhost/2.66.1/amd64/image.tar" in (caught.value.hint or "")


def test_a_node_without_a_runtime_is_named(plan: ClusterPlan, ready: Ready) -> None:
    with (
        pool(lambda *_: {"lacking": {"": "docker does not answer: no socket"}}) as hosts,
        pytest.raises(VerifyError, match="worker1: docker does not answer: no socket; worker2"),
    ):
        load_images(plan, hosts, ready, ())

"""kube-bench on all hosts: what is asked, and what is made of the answers."""

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.checks.cis.benchmark import read_benchmark
from k8sbootstrap.checks.cis.reasons import reasons
from k8sbootstrap.checks.cis.run import KubeBench, Run, conclude, run_cis, runs_of
from k8sbootstrap.checks.cis.text import text
from k8sbootstrap.checks.formats import CIS, as_json, as_junit
from k8sbootstrap.checks.framework import CheckReport, Status
from k8sbootstrap.errors import ArtifactError, HostError, VerifyError
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import ClusterPlan
from tests.unit.hosts.sessions import ScriptedSession
from tools import cis_table

from .conftest import OF_ETCD, make_plan

Judge = Callable[..., CheckReport]


@pytest.fixture
def asked() -> dict[str, dict[str, Any]]:
    """Host to the request that it got."""
    return {}


@pytest.fixture
def judge(
    plan: ClusterPlan, kube_bench: KubeBench, answers: dict[str, Any], asked: dict[str, dict[str, Any]]
) -> Judge:
    """Runs kube-bench on hosts that answer what ``answers`` has."""

    def reply(host: str, _command: str, stdin: str) -> RunAnswer:
        asked[host] = json.loads(stdin.partition("\n")[0])
        if host not in answers:
            raise HostError(f"{host}: no route")
        return RunAnswer(0, json.dumps(answers[host]), "")

    def run(**options: Any) -> CheckReport:
        with Pool(lambda target: ScriptedSession(target, reply)) as pool:
            return run_cis(plan, pool, {"amd64": kube_bench}, **options)

    return run


def of(report: CheckReport, check: str) -> dict[str, tuple[Status, str]]:
    return {each.host: (each.status, each.message) for each in report.results if each.check == check}


def control(answers: dict[str, Any], host: str, name: str) -> dict[str, Any]:
    return next(each for run in answers[host]["runs"] for each in run["controls"] if each["id"] == name)


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (("m1", "w1"), {"m1": "master controlplane etcd node policies", "w1": "node"}),
        (
            ("m1", "m2", "e1", "w1"),
            {
                "m1": "-etcd:master controlplane node policies",
                "m2": "-etcd:master controlplane node",
                "e1": "+etcd:master etcd",
                "w1": "node",
            },
        ),
    ],
    ids=["etcd on masters", "etcd apart"],
)
def test_what_is_judged_follows_the_roles(
    tmp_path: Path, kube_bench: KubeBench, hosts: tuple[str, ...], expected: dict[str, str]
) -> None:
    """The policies on one master; the files of etcd where it runs."""
    benchmark = read_benchmark(kube_bench.controls)

    def words(run: Run) -> str:
        sign = {(): "", OF_ETCD: "-etcd:"}[run.skip] + {(): "", OF_ETCD: "+etcd:"}[run.only]
        return sign + run.target

    for host in make_plan(tmp_path, *hosts).hosts:
        runs = runs_of(host, benchmark, policies=host.name == "m1")
        assert " ".join(map(words, runs)) == expected[host.name]


def test_a_host_gets_the_program_our_config_and_the_controls(
    judge: Judge, asked: dict[str, dict[str, Any]]
) -> None:
    judge()
    request = asked["etcd1"]
    assert gzip.decompress(base64.b64decode(request["program"])) == b"a program"
    assert "/etc/systemd/system/etcd.service" in request["files"]["config.yaml"]
    assert {name for name in request["files"] if "/" in name} == {
        f"cis-1.12/{name}.yaml" for name in ("master", "controlplane", "etcd", "node", "policies")
    }
    assert request["benchmark"] == "cis-1.12"
    assert request["runs"] == [
        {"target": "master", "only": list(OF_ETCD), "skip": []},
        {"target": "etcd", "only": [], "skip": []},
    ]


def test_healthy_hosts(judge: Judge, golden: Callable[[Path, str], None]) -> None:
    report = judge()
    assert report.ok
    conclude(report)
    assert json.loads(as_json(report, CIS))["hosts"] == {
        "master1": {"PASS": 78, "WARN": 37, "FAIL": 0, "ignored": 0, "not run": 5},
        "worker1": {"PASS": 24, "WARN": 1, "FAIL": 0, "ignored": 0, "not run": 0},
        "etcd1": {"PASS": 11, "WARN": 0, "FAIL": 0, "ignored": 0, "not run": 0},
    }
    assert of(report, "1.1.1") == {"master1": (Status.PASSED, "permissions=600")}
    assert of(report, "5.1.3") == {"master1": (Status.SKIPPED, "the host has no jq")}
    lines = [line.plain for line in text(report, {"4.2.7": "it is so"}, every=True)]
    golden(Path(__file__).parent / "golden" / "healthy.txt", "\n".join(lines) + "\n")
    quiet = [line.plain for line in text(report, {}, every=False)]
    assert quiet == lines[:4]


def test_every_warning_of_healthy_hosts_has_its_reason_and_no_reason_is_left_over(judge: Judge) -> None:
    """So docs/cis.md says all, and no more."""
    left = {result.check: result.status for result in judge().having(Status.WARNING, Status.SKIPPED)}
    assert set(reasons()) == set(left)
    for name, reason in reasons().items():
        assert reason.startswith("(jq) ") == (left[name] is Status.SKIPPED), name


def test_the_documentation_has_every_reason() -> None:
    page = cis_table.PAGE.read_text()
    assert page == cis_table.with_table(page)


def test_a_failure_names_control_and_hosts_and_what_to_do(judge: Judge, answers: dict[str, Any]) -> None:
    for host in ("master1", "worker1"):
        control(answers, host, "4.1.1").update(
            status="FAIL", seen="permissions=644", remediation="Run:\n  chmod 600 x"
        )
    report = judge()
    assert not report.ok
    with pytest.raises(VerifyError, match=r"^The cluster demo does not meet the CIS benchmark: 4.1.1 \(m"):
        conclude(report)
    assert [line.plain for line in text(report, {"4.1.1": "no reason"}, every=False)][4:] == [
        "FAIL    4.1.1 Control 4.1.1",
        "        master1, worker1: permissions=644",
        "          Run:",
        "            chmod 600 x",
    ]
    assert 'failure message="permissions=644"' in as_junit(report, CIS)


@pytest.mark.parametrize("status", ["PASS", "WARN", "FAIL"])
def test_a_control_whose_command_failed_was_not_run_whatever_kube_bench_says(
    judge: Judge, answers: dict[str, Any], status: str
) -> None:
    control(answers, "worker1", "4.1.1").update(status=status, ran=False, reason="the host has no stat")
    assert of(judge(), "4.1.1")["worker1"] == (Status.SKIPPED, "the host has no stat")


def test_controls_that_are_missing_were_not_run(judge: Judge, answers: dict[str, Any]) -> None:
    answers["worker1"]["runs"][0]["controls"].pop(0)
    answers["etcd1"]["runs"][1].update(controls=[], error="kube-bench did not end in time")
    report = judge()
    assert of(report, "4.1.1")["worker1"] == (Status.SKIPPED, "kube-bench did not report it")
    assert of(report, "2.1") == {"etcd1": (Status.SKIPPED, "kube-bench did not end in time")}
    assert of(report, "kube-bench") == {}


def test_a_host_that_cannot_be_asked_fails_and_its_controls_were_not_run(
    judge: Judge, answers: dict[str, Any]
) -> None:
    del answers["worker1"]
    report = judge()
    assert of(report, "kube-bench")["worker1"] == (Status.FAILED, "no route")
    assert of(report, "4.1.1")["worker1"] == (Status.SKIPPED, "no route")
    with pytest.raises(VerifyError, match=r"kube-bench \(worker1\)$"):
        conclude(report)


def test_a_host_that_is_known_to_be_down_is_not_asked(judge: Judge, asked: dict[str, dict[str, Any]]) -> None:
    report = judge(allow_down=["master1"])
    assert report.ok
    assert "master1" not in asked
    assert of(report, "5.1.1") == {}
    assert of(report, "1.1.1") == {"master1": (Status.SKIPPED, "known to be down")}


def test_nothing_judged_is_no_success(judge: Judge) -> None:
    report = judge(allow_down=["master1", "worker1", "etcd1"])
    with pytest.raises(VerifyError, match="nothing was judged"):
        conclude(report)


@pytest.mark.parametrize(
    "lie",
    [
        {"runs": [{"target": "node", "error": "", "controls": [{"id": "4.1.1", "status": "GOOD"}]}]},
        {"runs": [{"target": "x" * 3000, "error": "", "controls": []}]},
        {"runs": [{"target": "node", "error": "", "controls": []}] * 11},
    ],
    ids=["another form", "too long", "too many"],
)
def test_an_answer_without_its_form_and_bounds_is_refused(
    judge: Judge, answers: dict[str, Any], lie: dict[str, Any]
) -> None:
    answers["worker1"] = lie
    status, message = of(judge(), "kube-bench")["worker1"]
    assert status is Status.FAILED
    assert "its answer can't be used" in message


def test_control_characters_of_a_host_do_not_reach_the_terminal(
    judge: Judge, answers: dict[str, Any]
) -> None:
    control(answers, "worker1", "4.1.1").update(status="FAIL", seen="\x1b[2J", remediation="\x1b]0;x\x07")
    assert "\x1b" not in "".join(line.plain for line in text(judge(), {}, every=True))


@pytest.mark.parametrize(
    "content", ["[]", "{", "a: &a [*a]", "version: 1\ntype: node\ngroups: [{checks: [{id: a, text: b}]}]"]
)
def test_a_file_that_is_not_kube_benchs_is_named(kube_bench: KubeBench, content: str) -> None:
    kube_bench.controls["node.yaml"].write_text(content)
    with pytest.raises(ArtifactError, match=r"node\.yaml is not node\.yaml of kube-bench: "):
        read_benchmark(kube_bench.controls)

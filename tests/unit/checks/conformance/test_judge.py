"""What is made of what Conformance's tests said."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from k8sbootstrap.checks.conformance import record
from k8sbootstrap.checks.conformance.answers import RUN
from k8sbootstrap.checks.conformance.judge import conclude, judge
from k8sbootstrap.checks.conformance.text import text
from k8sbootstrap.checks.formats import CONFORMANCE, as_json, as_junit
from k8sbootstrap.checks.framework import CheckReport, Status
from k8sbootstrap.errors import VerifyError
from k8sbootstrap.hosts.ask import UnusableAnswerError, read
from k8sbootstrap.state import State

AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.66.1"


def told(*tests: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """What a master says of a run of these tests."""
    whole = [
        {"status": "passed", "seconds": 1.5, "message": "", "lacks": [], "log": "", **test} for test in tests
    ]
    part = {
        "name": "parallel",
        "processes": 6,
        "total": len(tests),
        "done": len(tests),
        "failed": 0,
        "results": whole,
    }
    return {"unit": "ended", "copied": True, "error": "", "parts": [part]} | changed


DNS = {"name": "[sig-network] DNS should resolve [Conformance]"}
JOB = {
    "name": "[sig-apps] Job should run [Conformance]",
    "status": "failed",
    "message": "\n".join("abcdefgh"),
}
PULL = {"name": "[sig-node] Pods should start", "status": "failed", "lacks": [AGNHOST, "other/image:1"]}
SKIP = {"name": "[sig-node] Two nodes", "status": "skipped", "message": "Requires at least 2 nodes"}


def report(*tests: dict[str, Any], **changed: Any) -> CheckReport:
    answer = read("master1", json.dumps(told(*tests, **changed)), RUN)
    return judge("demo", answer, {AGNHOST}, 12.3456)


def test_each_test_is_a_result_of_its_group() -> None:
    results = report(DNS, JOB).results
    assert [(each.check, each.title, each.status, each.seconds) for each in results] == [
        ("sig-network", DNS["name"], Status.PASSED, 1.5),
        ("sig-apps", JOB["name"], Status.FAILED, 1.5),
    ]


def test_a_test_whose_image_is_not_there_was_not_run() -> None:
    (result,) = report(PULL).results
    assert (result.status, result.message) == (Status.SKIPPED, f"nodes could not get {AGNHOST}")


def test_a_test_that_meant_to_pull_an_image_that_is_nowhere_has_failed() -> None:
    (result,) = report({**PULL, "lacks": ["invalid.registry.k8s.io/invalid/alpine:3.1"]}).results
    assert result.status is Status.FAILED


@pytest.mark.parametrize(
    ("tests", "changed", "said"),
    [
        ([DNS, JOB], {}, f"does not conform: 1 test failed: {JOB['name']}"),
        ([JOB] * 7, {}, "does not conform: 7 tests failed: .*; and 2 more"),
        ([PULL, SKIP], {}, "Conformance of the cluster demo is not known: no test was run"),
        ([DNS], {"error": "it was stopped"}, "is not known: it was stopped"),
        ([], {"error": "e2e.test failed"}, "is not known: e2e.test failed"),
    ],
)
def test_what_is_not_shown_to_conform_is_an_error(
    tests: list[dict[str, Any]], changed: dict[str, str], said: str
) -> None:
    with pytest.raises(VerifyError, match=said.replace("[", r"\[").replace("]", r"\]")):
        conclude(report(*tests, **changed))


def test_tests_that_were_not_run_are_no_error_beside_others_that_passed() -> None:
    conclude(report(DNS, SKIP))


def test_text() -> None:
    lines = [line.plain for line in text(report(DNS, JOB, SKIP), every=False)]
    assert lines == [
        "              passed   failed  not run",
        "sig-apps           0        1        0",
        "sig-network        1        0        0",
        "sig-node           0        0        1",
        "all                1        1        1",
        f"failed  {JOB['name']}",
        *(f"        {letter}" for letter in "abcdef"),
        "        ... (2 more lines)",
        "not run [sig-node] Two nodes",
        "        Requires at least 2 nodes",
    ]
    whole = [line.plain for line in text(report(DNS, JOB, SKIP), every=True)]
    assert "        h" in whole
    assert f"passed  {DNS['name']}" in whole


def test_json_and_junit() -> None:
    whole = report(DNS, SKIP, JOB)
    document = json.loads(as_json(whole, CONFORMANCE))
    assert document["counts"]["not run"] == 1
    assert document["results"][1] == {
        "check": "sig-node",
        "title": "[sig-node] Two nodes",
        "status": "not run",
        "message": "Requires at least 2 nodes",
        "seconds": 1.5,
    }
    suite = ET.fromstring(as_junit(whole, CONFORMANCE)).find("testsuite")
    assert suite is not None
    assert (suite.get("name"), suite.get("failures"), suite.get("skipped")) == (
        "k8sbootstrap-conformance",
        "1",
        "1",
    )
    assert [case.get("name") for case in suite] == [DNS["name"], SKIP["name"], JOB["name"]]


@pytest.mark.parametrize(
    "changed",
    [
        {"unit": "else"},
        {"parts": [{"name": "../x", "processes": 1, "total": 1, "done": 1, "failed": 1, "results": []}]},
        {"error": "x" * 3000},
        {"parts": [told(DNS)["parts"][0]] * 11},
    ],
)
def test_an_answer_of_another_form_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(UnusableAnswerError):
        read("master1", json.dumps(told(DNS, **changed)), RUN)


def test_what_tests_print_controls_no_terminal() -> None:
    (result,) = report({**JOB, "name": "[sig-apps] \x1b[31mred", "message": "a\x1b[2Jb\nnext"}).results
    assert "\x1b" not in result.title + result.message
    assert result.message.endswith("\nnext")


def test_the_newest_run_is_kept(tmp_path: Path) -> None:
    state = State(tmp_path / ".k8sbootstrap" / "demo")
    assert record.read(state) is None
    answer = read("master1", json.dumps(told({**JOB, "log": "what it printed"}, DNS)), RUN)
    run = record.Conformance("1.37.2", datetime(2026, 11, 29, 15, tzinfo=UTC), "", report(JOB, DNS))
    record.write(state, run, answer)
    assert record.read(state) == run
    assert record.has_log(state)
    log = state.conformance_log.read_text()
    assert log.splitlines()[0] == JOB["name"]
    assert log.endswith("what it printed")
    assert {path.stat().st_mode & 0o777 for path in (state.conformance, state.conformance_log)} == {0o600}
    state.conformance.write_text("{}")
    assert record.read(state) is None

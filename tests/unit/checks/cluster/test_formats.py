import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from k8sbootstrap.checks.cluster import ALL_CHECKS
from k8sbootstrap.checks.cluster.run import conclude
from k8sbootstrap.checks.formats import VERIFY, as_json, as_junit, text_by_check
from k8sbootstrap.checks.framework import CLUSTER, CheckReport, CheckResult, Status, apply
from k8sbootstrap.cli import verify
from k8sbootstrap.cli.main import main
from k8sbootstrap.errors import VerifyError
from tests.json_form import form_of

REPORT = CheckReport(
    "demo",
    (
        CheckResult("ssh", "m1", Status.PASSED, "answers", seconds=0.5),
        CheckResult("ssh", "w1", Status.PASSED, "answers", seconds=0.5),
        CheckResult("nodes", "m1", Status.PASSED, "Ready", seconds=0.6),
        CheckResult("nodes", "w1", Status.FAILED, "not Ready <\x1b[31m&>", seconds=0.6),
        CheckResult("logs", "w1", Status.SKIPPED, "its test pod does not run", seconds=1.0),
    ),
    2.5,
)


def text(*, every=False):
    return [line.plain for line in text_by_check(REPORT, VERIFY, ALL_CHECKS, every=every)]


def test_text_has_a_line_per_check_and_details_of_failures_only():
    lines = text()
    assert [line.split()[:2] for line in lines if not line.startswith(" ")] == [
        ["passed", "ssh"],
        ["failed", "nodes"],
        ["skipped", "logs"],
    ]
    assert [line.strip() for line in lines if line.startswith(" ")] == ["w1: not Ready <\x1b[31m&>"]
    assert "1 passed, 1 failed" in lines[1]


def test_text_with_every_result():
    assert "           w1: skipped: its test pod does not run" in text(every=True)


def test_text_word_by_word():
    assert text(every=True) == [
        "passed   ssh             hosts answer over SSH                  2 passed (0.5 s)",
        "           m1: passed: answers",
        "           w1: passed: answers",
        "failed   nodes           nodes are Ready and as planned         1 passed, 1 failed (0.6 s)",
        "           m1: passed: Ready",
        "           w1: not Ready <\x1b[31m&>",
        "skipped  logs            kubectl logs works                     1 skipped (1.0 s)",
        "           w1: skipped: its test pod does not run",
    ]


def test_titles():
    assert {check.name: check.title for check in ALL_CHECKS} == {
        "ssh": "hosts answer over SSH",
        "components": "components are healthy",
        "etcd": "etcd has quorum and one leader",
        "api-from-nodes": "nodes reach the API",
        "nodes": "nodes are Ready and as planned",
        "pods": "a pod runs on every node",
        "exec": "kubectl exec works",
        "logs": "kubectl logs works",
        "pod-network": "pods reach each other across nodes",
        "service": "Services answer on every node",
        "dns": "pods get names from the cluster's DNS",
        "nodeport": "NodePorts answer on every node",
        "cleanup": "verify leaves nothing behind",
    }


def test_json_word_by_word():
    assert (
        as_json(replace(REPORT, results=REPORT.results[3:4]), VERIFY)
        == """\
{
  "cluster": "demo",
  "ok": false,
  "seconds": 2.5,
  "results": [
    {
      "check": "nodes",
      "host": "w1",
      "status": "failed",
      "message": "not Ready <\\u001b[31m&>",
      "seconds": 0.6
    }
  ]
}"""
    )


def test_junit_word_by_word():
    assert (
        as_junit(replace(REPORT, results=REPORT.results[2:]), VERIFY)
        == """\
<?xml version='1.0' encoding='utf-8'?>
<testsuites>
  <testsuite name="k8sbootstrap-verify" tests="3" failures="1" errors="0" skipped="1" time="2.500">
    <testcase classname="demo.nodes" name="m1" time="0.600" />
    <testcase classname="demo.nodes" name="w1" time="0.600">
      <failure message="not Ready &lt;?[31m&amp;&gt;">not Ready &lt;?[31m&amp;&gt;</failure>
    </testcase>
    <testcase classname="demo.logs" name="w1" time="1.000">
      <skipped message="its test pod does not run" />
    </testcase>
  </testsuite>
</testsuites>
"""
    )


def test_json_has_all_results():
    document = json.loads(as_json(REPORT, VERIFY))
    assert (document["cluster"], document["ok"], document["seconds"]) == ("demo", False, 2.5)
    assert document["results"][3]["status"] == "failed"
    assert set(document["results"][0]) == {"check", "host", "status", "message", "seconds"}


def test_json_keeps_its_form(facts, tmp_path, monkeypatch, capsys, golden):
    """What the command prints; the record of a run has the same document."""
    down = replace(facts, allow_down=frozenset({"w2"}), leftover="the namespace is still there")
    results = tuple(replace(result, seconds=0.5) for result in apply(ALL_CHECKS, down, CLUSTER))
    assert {result.status for result in results} == {Status.PASSED, Status.FAILED, Status.SKIPPED}
    report = CheckReport("demo", results, 2.5)
    monkeypatch.setattr(verify, "run_verify", lambda *_, **__: report)
    with pytest.raises(SystemExit):
        main(["--file", str(tmp_path / "cluster.yaml"), "verify", "-o", "json"])
    form = form_of([json.loads(capsys.readouterr().out)])
    golden(Path(__file__).parent / "golden/verify.json", form)


def test_junit_counts_and_names():
    suite = ET.fromstring(as_junit(REPORT, VERIFY)).find("testsuite")
    assert suite.attrib["tests"] == "5"
    assert suite.attrib["failures"] == "1"
    assert suite.attrib["skipped"] == "1"
    case = suite.findall("testcase")[3]
    assert (case.attrib["classname"], case.attrib["name"]) == ("demo.nodes", "w1")
    assert case.find("failure").text == "not Ready <?[31m&>"


def test_a_failed_report_is_an_error_that_names_checks_and_hosts():
    with pytest.raises(VerifyError, match=r"demo does not work correctly: nodes \(w1\)") as error:
        conclude(REPORT)
    assert error.value.exit_code == 6
    assert "Fix nodes first" in error.value.hint


def test_a_good_report_is_no_error():
    conclude(CheckReport("demo", REPORT.results[:2], 1.0))


def test_a_report_in_which_nothing_passed_is_not_good():
    with pytest.raises(VerifyError, match="no host was checked"):
        conclude(CheckReport("demo", (CheckResult("ssh", "m1", Status.SKIPPED, "known to be down"),), 1.0))

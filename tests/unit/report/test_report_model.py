from datetime import UTC, datetime

import pytest

from k8sbootstrap.checks.conformance import record
from k8sbootstrap.checks.conformance.answers import ToldRun
from k8sbootstrap.checks.conformance.record import Conformance
from k8sbootstrap.checks.framework import CheckReport, CheckResult, Status
from k8sbootstrap.report import changes
from k8sbootstrap.report.changes import ShownChange, host_changes
from k8sbootstrap.report.checks import COLUMNS, check_table
from tests.report_runs import PREFLIGHT, SUMMARY, large_run, lines


def test_the_head_of_a_run_that_failed(page) -> None:
    made = page("failed", summary=SUMMARY, inventory=True)
    assert (made.command, made.outcome, made.remarks) == ("k8sbootstrap up", "failed", ())
    assert dict(made.facts) == {
        "Cluster": "demo",
        "Began": "2026-11-24 20:00:00 UTC",
        "Took": "45.2 s",
        "Hosts": "5",
        "Changed": "10 tasks on 4 hosts",
        "Kubernetes": "1.36.4",
        "cni-plugins": "1.9.1",
        "cri-dockerd": "0.3.26",
        "crictl": "1.36.0",
        "etcd": "3.6.8",
        "k8sbootstrap": "0.1.0",
        "Run": made.run,
    }
    assert made.next_step == SUMMARY["hint"]


def test_failures_name_host_task_reason_and_output(page) -> None:
    made = page("failed", summary=SUMMARY)
    assert made.error == ""  # the failures say it
    unreachable, failed = made.failures
    assert (unreachable.hosts, unreachable.unreachable, unreachable.output) == ("worker2", True, "")
    assert unreachable.reason[0].endswith("No route to host")
    assert (failed.hosts, failed.phase, failed.task, failed.role) == (
        "master3",
        "etcd",
        "Install and start etcd",
        "etcd",
    )
    assert failed.reason[:2] == (
        "etcd: etcd.service is not healthy after 60 s",
        "systemctl start etcd.service ended with code 1",
    )
    assert failed.reason[-1] == "etcd: <b>no space left</b> on device & nothing to do"
    assert failed.output.startswith("line 1 of the journal\n")


def test_an_error_that_is_none_of_the_failures_is_told_too(page) -> None:
    made = page("failed", summary=SUMMARY | {"outcome": "interrupted", "error": "interrupted during: etcd"})
    assert made.error == "interrupted during: etcd"
    assert len(made.failures) == 2


def test_equal_failures_of_many_hosts_are_one(page) -> None:
    failure = ', "failure": {"msg": "no space left"}'
    text = large_run(40).replace('"status": "changed"', f'"status": "failed"{failure}')
    before_the_account = "".join(
        line for line in text.splitlines(keepends=True) if '"kind": "stats"' not in line
    )
    (card,) = page(before_the_account).failures
    assert card.hosts.endswith(" and 16 more")
    assert card.reason == ("no space left",)


def test_a_run_without_a_playbook_says_its_error(page) -> None:
    made = page("preflight", summary=PREFLIGHT)
    assert (made.error, made.next_step) == (PREFLIGHT["error"], "add memory")
    assert (made.failures, made.hosts, made.changes, made.drawings) == ((), (), (), ())
    assert (made.checks, made.conformance) == (None, None)
    assert [(part.title, part.outcome, part.notes) for part in made.parts] == [
        ("Host keys", "ok", ()),
        ("Preflight", "failed", ("master1: memory: failed: 512 MB < 1700 MB",)),
    ]
    assert "Hosts" not in dict(made.facts)


def test_a_run_that_was_cut_off_says_so(page) -> None:
    made = page("cut")
    assert (made.command, made.outcome) == ("k8sbootstrap up", "unfinished")
    assert made.remarks == (
        (
            "The record has no end: the run still runs, or it was killed. "
            "Last seen: Install and start etcd (etcd)."
        ),
        "1 line of its events could not be read and is not shown here.",
    )
    assert dict(made.facts)["Took"] == "5.0 s"
    assert "run the same command again: it continues" in made.next_step
    assert [(part.title, part.outcome) for part in made.parts] == [
        ("Preflight", "ok"),
        ("etcd", "unfinished"),
    ]


def test_a_plan_says_that_it_changed_nothing(page) -> None:
    made = page("failed", summary=SUMMARY | {"command": "k8sbootstrap plan"})
    assert "Nothing was changed" in made.remarks[0]
    assert made.changes_title == "What would change"
    assert dict(made.facts)["Would change"] == "10 tasks on 4 hosts"


def test_a_run_with_nothing_to_do_knows_its_hosts(page) -> None:
    summary = SUMMARY | {"outcome": "ok", "error": "", "hint": ""}
    made = page("preflight", summary=summary, inventory=True)
    assert dict(made.facts)["Changed"] == "nothing"
    assert {host.outcome for host in made.hosts} == {"untouched"}
    assert (len(made.hosts), made.changes, len(made.drawings)) == (5, (), 2)


def test_a_record_without_anything(page) -> None:
    made = page("")
    assert made.command == "unknown command"
    assert made.remarks[-1] == "It has no events."
    assert made.timeline.rows == ()


def test_where_the_time_went(page) -> None:
    made = page("failed", summary=SUMMARY)
    etcd = next(part for part in made.parts if part.title == "etcd")
    assert (etcd.number, etcd.began, etcd.took, etcd.outcome) == ("2", "0:17", "18.0 s", "1 failure")
    assert etcd.share == pytest.approx(40.1)
    assert (
        etcd.waited_for
        == "waited longest for master3 (15.6 s), longest task: Install and start etcd (15.6 s)"
    )
    assert (made.slowest[0].task, made.slowest[0].host) == ("Install and start etcd", "master3")


def test_hosts(page) -> None:
    made = page("failed", summary=SUMMARY, inventory=True)
    assert [(host.name, host.outcome, host.changed, host.failed) for host in made.hosts] == [
        ("master1", "changed", 3, 0),
        ("master2", "changed", 4, 0),
        ("master3", "failed", 1, 1),
        ("worker1", "changed", 2, 0),
        ("worker2", "unreachable", 0, 0),
    ]
    assert made.hosts[0].address == "10.0.0.11"


def test_changes_of_a_host(page) -> None:
    made = page("failed", summary=SUMMARY)
    assert made.unchanged == "1 host: worker2"
    master2 = made.changes[1]
    assert (master2.host, master2.changes, master2.restarted) == ("master2", 9, ("etcd.service",))
    assert [task.task for task in master2.tasks] == [
        "Install packages and load kernel settings",
        "Install and start etcd",
        "Restart etcd, one member at a time",
        "Install and start kubelet",
    ]
    assert master2.tasks[0].changes[0].text == "package conntrack installed"
    assert master2.tasks[2].changes == (
        ShownChange(
            "etcd.service restarted",
            drift=False,
            because="because of /etc/default/etcd, /etc/etcd/pki/server.key",
        ),
    )
    assert (master2.drift, master2.tasks[1].changes[1].drift) == (1, True)
    assert master2.tasks[3].changes[0].because == "the configuration changed"


def test_what_a_failed_task_changed_is_told(page) -> None:
    master3 = page("failed", summary=SUMMARY).changes[2]
    _, task = master3.tasks
    assert task.outcome == "failed"
    assert [change.text for change in task.changes] == ["/etc/systemd/system/etcd.service added"]


def test_the_same_diff_is_shown_once(history) -> None:
    hosts = {host.host: host for host in host_changes(history("failed"))}
    of_master1, of_master2 = (hosts[name].tasks[1].diffs for name in ("master1", "master2"))
    assert [(diff.shown, diff.same_as) for diff in of_master1] == [(True, ""), (True, ""), (True, "")]
    assert [(diff.shown, diff.same_as) for diff in of_master2] == [(True, ""), (False, "master1"), (True, "")]
    assert of_master2[1].anchor == of_master1[1].anchor


def test_diffs_end_where_the_page_gets_too_long(history, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "LINES", 10)
    hosts = host_changes(history("failed"))
    shown = [diff for host in hosts for task in host.tasks for diff in task.diffs]
    assert [diff.shown for diff in shown[:4]] == [True, False, True, False]
    assert all(diff.same_as == "" for diff in shown if diff.anchor == "")


def test_many_hosts_are_folded(page) -> None:
    made = page(large_run(60))
    assert (len(made.changes), len(made.more_changes)) == (24, 36)


def test_a_change_without_words_counts(page) -> None:
    text = lines(
        {"kind": "play_started", "time": 1, "phase": "reset", "hosts": ["m1"]},
        {"kind": "task_result", "time": 2, "phase": "reset", "host": "m1", "status": "changed"},
    )
    (host,) = page(text).changes
    assert (host.changes, host.tasks[0].phase) == (1, "reset")


def test_warnings_are_told_once(page) -> None:
    made = page("failed", summary=SUMMARY)
    assert [(warning.text, warning.hosts) for warning in made.warnings] == [
        ("apt: <deb> is old & slow", "worker1, master1")
    ]


def test_the_table_of_checks(page) -> None:
    table = page("failed", summary=SUMMARY, verify=True).checks
    assert (table.ok, table.took, table.left_out) == (False, "12.4 s", 0)
    assert table.hosts == ("master1", "master2", "master3", "worker1", "worker2", "cluster")
    assert [(row.name, row.status, row.summary) for row in table.rows] == [
        ("ssh", "failed", "4 passed, 1 failed"),
        ("etcd", "failed", "3 passed, 1 failed"),
        ("nodes", "passed", "4 passed, 1 skipped"),
    ]
    assert [cell.status for cell in table.rows[1].cells] == ["passed", "passed", "failed", "", "", "passed"]
    assert [(result.check, result.host) for result in table.failures] == [
        ("ssh", "worker2"),
        ("etcd", "master3"),
    ]


def test_the_newest_run_of_conformance(page, state) -> None:
    results = (
        CheckResult("sig-apps", "cluster", Status.PASSED, "", title="Job"),
        CheckResult("sig-apps", "cluster", Status.SKIPPED, "needs 2 nodes", title="DaemonSet"),
        CheckResult("sig-node", "cluster", Status.FAILED, "timed out", title="Pods"),
    )
    run = Conformance("1.37.2", datetime(2026, 11, 29, tzinfo=UTC), "DNS", CheckReport("demo", results, 90.0))
    record.write(state, run, ToldRun("ended", copied=True, error="", parts=[]))
    table = page("failed", summary=SUMMARY).conformance
    assert (table.ok, table.summary) == (False, "1 passed, 1 failed, 1 not run")
    assert table.about.startswith("Kubernetes 1.37.2, only tests that match DNS, ")
    assert [(row.name, row.passed, row.failed, row.left_out) for row in table.rows] == [
        ("sig-apps", 1, 0, 1),
        ("sig-node", 0, 1, 0),
    ]
    assert [[each.title for each in group] for group in (table.failed, table.left_out)] == [
        ["Pods"],
        ["DaemonSet"],
    ]


def test_checks_of_a_large_cluster_show_what_failed() -> None:
    results = [
        CheckResult("nodes", f"w{n}", Status.FAILED if n == 77 else Status.PASSED, "seen") for n in range(100)
    ]
    table = check_table(CheckReport("demo", tuple(results), 1.0))
    assert (table.hosts[0], len(table.hosts), table.left_out) == ("w77", COLUMNS, 100 - COLUMNS)
    assert len(table.rows[0].results) == 100
    assert table.rows[0].results[0].host == "w77"

from pathlib import Path

import pytest

from k8sbootstrap.checks.formats import PREFLIGHT, text_by_host
from k8sbootstrap.checks.framework import Status, require
from k8sbootstrap.checks.hosts import ACCESS_CHECKS, CHECK_NAMES, CHECKS
from k8sbootstrap.checks.hosts.base import Seen
from k8sbootstrap.checks.hosts.run import run_preflight
from k8sbootstrap.errors import HostError, HostKeyError, PreflightError, SudoError
from k8sbootstrap.hosts.ask import NoPythonError
from k8sbootstrap.survey.facts import parse
from tests.unit.hosts.sessions import AnsweredPool
from tools.checks_page import page

TWO = [
    {"name": "m1", "address": "192.0.2.11", "roles": ["master"]},
    {"name": "w1", "address": "192.0.2.12", "roles": ["worker"]},
]


@pytest.fixture
def check_with(make_plan):
    """Run all checks on m1 and w1 with these answers of theirs."""

    def check(m1, w1, ignore=()):
        report = run_preflight(make_plan(hosts=TWO), AnsweredPool({"m1": m1, "w1": w1}), ignore=ignore)
        assert [(r.host, r.check) for r in report.results] == [
            (host, name) for host in ("m1", "w1") for name in CHECK_NAMES
        ]
        return report

    return check


@pytest.fixture
def m1(recording):
    return Seen(parse(recording()), 1000.0, 1001.0)


@pytest.fixture
def w1(recording):
    text = recording(hostname="w1", machine_id="b").replace("192.0.2.11", "192.0.2.12")
    return Seen(parse(text), 1000.0, 1001.0)


def statuses(report, host):
    return {result.check: result.status for result in report.results if result.host == host}


def last_line(report):
    return str(list(text_by_host(report, PREFLIGHT, every=False))[-1])


def test_two_good_hosts(check_with, m1, w1):
    report = check_with(m1, w1)
    assert {result.status for result in report.results} == {Status.PASSED}
    assert last_line(report) == f"2 hosts, {len(CHECK_NAMES)} checks each: {2 * len(CHECK_NAMES)} ok"
    require(report)


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (HostError("w1 (192.0.2.12:22): connection refused", hint="Check sshd."), "ssh"),
        (HostKeyError("w1: the SSH host key has changed", hint="Beware."), "ssh"),
        (SudoError("w1: sudo refused the password", hint="Correct it."), "sudo"),
        (NoPythonError("w1: python3 is not installed", hint="Install it."), "python"),
    ],
)
def test_a_host_that_cannot_be_seen(check_with, m1, error, place):
    report = check_with(m1, error)
    assert set(statuses(report, "m1").values()) == {Status.PASSED}
    found = statuses(report, "w1")
    position = CHECK_NAMES.index(place)
    assert {found[name] for name in CHECK_NAMES[:position]} <= {Status.PASSED}
    assert found[place] is Status.FAILED
    assert {found[name] for name in CHECK_NAMES[position + 1 :]} == {Status.SKIPPED}
    (failure,) = report.failures
    message = str(error).removeprefix("w1: ") if place == "python" else str(error)
    assert (failure.message, failure.fix) == (message, error.hint)


def test_an_old_python_is_told_together_with_the_rest(check_with, m1, recording):
    old = Seen(parse(recording(python=[3, 7, 3], hostname="w1", machine_id="b")), 1000.0, 1001.0)
    report = check_with(m1, old)
    assert ("w1", "python") in {(result.host, result.check) for result in report.failures}
    assert statuses(report, "w1")["os"] is Status.PASSED


def test_everything_wrong_is_reported_at_once(check_with, recording):
    bad = recording(machine="aarch64", disk_free=0, swaps="Filename\n/swap file 1 0 -2\n")
    twin = Seen(parse(bad), 1000.0, 1001.0)
    report = check_with(twin, twin)
    both = ["arch", "swap", "disk", "hostname-unique", "machine-id-unique"]
    assert [result.check for result in report.failures if result.host == "m1"] == [*both, "address-unique"]
    assert [result.check for result in report.failures if result.host == "w1"] == [*both, "address-present"]
    with pytest.raises(PreflightError) as caught:
        require(report)
    for result in report.failures:
        assert f"{result.host}: {result.check}: {result.message}" in str(caught.value)
        assert result.fix in str(caught.value)
    assert "nothing was changed" in str(caught.value)
    assert caught.value.exit_code == 4


def test_only_what_is_named_is_ignored(check_with, m1, recording):
    text = recording(hostname="w1", machine_id="b", machine="aarch64", disk_free=0)
    w1 = Seen(parse(text.replace("192.0.2.11", "192.0.2.12")), 1000.0, 1001.0)
    report = check_with(m1, w1, ignore=["arch"])
    assert statuses(report, "w1")["arch"] is Status.IGNORED
    assert [result.check for result in report.failures] == ["disk"]
    assert statuses(report, "m1")["arch"] is Status.PASSED
    require(check_with(m1, w1, ignore=["arch", "disk"]))


def test_a_name_that_is_no_check(make_plan):
    with pytest.raises(ValueError, match="there is no check swop"):
        run_preflight(make_plan(), AnsweredPool({}), ignore=["swop"])


def test_names_are_unique_and_described():
    assert len(set(CHECK_NAMES)) == len(CHECK_NAMES)
    assert all(check.description.endswith(".") for check in (*ACCESS_CHECKS, *CHECKS))


def test_the_documentation_lists_the_checks(golden):
    golden(Path(__file__).parents[4] / "docs" / "preflight.md", page())

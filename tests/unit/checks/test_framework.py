from dataclasses import dataclass

import pytest

from k8sbootstrap.checks import framework
from k8sbootstrap.checks.formats import overall
from k8sbootstrap.checks.framework import (
    CLUSTER,
    Check,
    CheckReport,
    CheckResult,
    Status,
    apply,
    failed,
    may_settle,
    passed,
    require,
    settle,
    skipped,
    warning,
)
from k8sbootstrap.errors import PreflightError


@dataclass(frozen=True)
class Case:
    heat: int


def warm(case):
    """It is warm,
    but not hot.

    More of it.
    """
    return passed("warm") if case.heat > 20 else failed("cold", "Heat it.")


def rooms(case):
    """Every room is warm."""
    for name in ("a", "b"):
        yield (passed("warm") if case.heat > 20 else skipped("nobody is there")).on(name)


CHECKS = (Check("warm", warm, settles=True), Check("rooms", rooms))


def test_a_verdict_without_a_host_is_about_that_of_the_case():
    assert list(apply(CHECKS, Case(25), CLUSTER)) == [
        CheckResult("warm", CLUSTER, Status.PASSED, "warm"),
        CheckResult("rooms", "a", Status.PASSED, "warm"),
        CheckResult("rooms", "b", Status.PASSED, "warm"),
    ]


def test_only_a_failure_is_ignored():
    cold, *others = apply(CHECKS, Case(0), CLUSTER, ignore=["warm", "rooms"])
    assert cold == CheckResult("warm", CLUSTER, Status.IGNORED, "cold", "Heat it.")
    assert {result.status for result in others} == {Status.SKIPPED}


def test_a_description_is_the_first_paragraph_on_one_line():
    assert CHECKS[0].description == "It is warm, but not hot."


@pytest.mark.parametrize(
    ("statuses", "ok"),
    [
        ([], False),
        ([Status.SKIPPED], False),
        ([Status.SKIPPED, Status.PASSED], True),
        ([Status.PASSED, Status.WARNING, Status.IGNORED], True),
        ([Status.PASSED, Status.FAILED], False),
    ],
)
def test_a_report_is_good_where_something_was_judged_and_nothing_failed(statuses, ok):
    results = tuple(CheckResult("warm", "a", status, "") for status in statuses)
    assert CheckReport("demo", results).ok is ok


@pytest.mark.parametrize("status", Status)
def test_a_failure_stands_for_all_and_a_skipped_check_for_none(status):
    results = [CheckResult("warm", "a", each, "") for each in (status, Status.FAILED)]
    assert overall(results) is Status.FAILED
    results = [CheckResult("warm", "a", each, "") for each in (status, Status.SKIPPED)]
    assert overall(results) is status


def test_only_failures_of_checks_that_settle_are_worth_waiting_for():
    results = [
        CheckResult("warm", "a", Status.FAILED, "cold"),
        CheckResult("warm", "b", Status.PASSED, "warm"),
        CheckResult("rooms", "a", Status.FAILED, "cold"),
    ]
    assert may_settle(CHECKS, results) == results[:1]


def test_it_looks_until_all_is_well():
    heats = iter([0, 10, 25, 99])
    assert settle(lambda: next(heats), lambda heat: heat <= 20, poll=0.001) == 25


def test_it_gives_up_after_a_while(monkeypatch):
    monkeypatch.setattr(framework, "SETTLE", 0.02)
    looks = []
    settle(lambda: looks.append(1), lambda _: True, poll=0.005)
    assert 1 < len(looks) < 6


def test_what_is_required_is_reported_whole_with_its_fix_and_how_to_ignore_it():
    results = (
        CheckResult("warm", "a", Status.FAILED, "cold", "Heat it."),
        CheckResult("dry", "b", Status.FAILED, "wet"),
        CheckResult("warm", "b", Status.IGNORED, "cold"),
    )
    with pytest.raises(PreflightError) as raised:
        require(CheckReport("demo", results))
    assert str(raised.value) == (
        "2 preflight checks failed, and nothing was changed:\na: warm: cold\n    Heat it.\nb: dry: wet"
    )
    assert raised.value.hint.endswith("give the name of its check: warm, dry.")


def test_a_warning_is_no_failure():
    require(CheckReport("demo", tuple(apply([Check("warm", lambda _: warning("cool"))], None, "a"))))

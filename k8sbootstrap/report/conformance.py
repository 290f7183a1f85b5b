"""The newest run of Conformance as a table of groups of tests, and those that did not pass."""

from dataclasses import dataclass

from k8sbootstrap.checks.conformance.record import Conformance
from k8sbootstrap.checks.formats import CONFORMANCE
from k8sbootstrap.checks.framework import CheckResult, Status
from k8sbootstrap.formats.text import duration, moment


@dataclass(frozen=True)
class GroupRow:
    """One group of tests, such as sig-network."""

    name: str
    passed: int
    failed: int
    left_out: int


@dataclass(frozen=True)
class ConformanceTable:
    """All of it."""

    about: str
    """Release, time and how long it took, in a sentence."""
    ok: bool
    summary: str
    rows: tuple[GroupRow, ...]
    failed: tuple[CheckResult, ...]
    left_out: tuple[CheckResult, ...]


def conformance_table(run: Conformance) -> ConformanceTable:
    """Lay out what Conformance's tests said."""
    report = run.report
    groups = sorted({result.check for result in report.results})
    chosen = f", only tests that match {run.focus}" if run.focus else ""
    return ConformanceTable(
        about=f"Kubernetes {run.version}{chosen}, {moment(run.began.timestamp())}, "
        f"took {duration(report.seconds)}.",
        ok=report.ok,
        summary=CONFORMANCE.counted(report.results) or "no test was run",
        rows=tuple(_row(group, [each for each in report.results if each.check == group]) for group in groups),
        failed=report.failures,
        left_out=report.having(Status.SKIPPED),
    )


def _row(name: str, results: list[CheckResult]) -> GroupRow:
    numbers = [
        sum(result.status is status for result in results)
        for status in (Status.PASSED, Status.FAILED, Status.SKIPPED)
    ]
    return GroupRow(name, *numbers)

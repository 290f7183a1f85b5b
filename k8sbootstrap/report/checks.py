"""Verify's results as a table of checks and hosts, and their messages."""

from dataclasses import dataclass

from k8sbootstrap.checks.cluster import ALL_CHECKS
from k8sbootstrap.checks.formats import VERIFY, overall
from k8sbootstrap.checks.framework import CLUSTER, CheckReport, CheckResult, Status
from k8sbootstrap.formats.text import duration

COLUMNS = 16
"""Hosts that have a column; in larger clusters those that failed come first."""
_TITLES = {check.name: check.title for check in ALL_CHECKS}


@dataclass(frozen=True)
class Cell:
    """How one check went on one host."""

    status: str
    """Empty where the check has no result for the host."""
    message: str


@dataclass(frozen=True)
class CheckRow:
    """One check."""

    name: str
    title: str
    status: str
    """``failed`` when it failed anywhere."""
    summary: str
    cells: tuple[Cell, ...]
    """One for each of the table's hosts."""
    results: tuple[CheckResult, ...]
    """All of them, those that failed first."""


@dataclass(frozen=True)
class CheckTable:
    """All of it."""

    ok: bool
    took: str
    hosts: tuple[str, ...]
    """The columns; those that failed come first where not all have one."""
    left_out: int
    """Hosts that have no column."""
    rows: tuple[CheckRow, ...]
    failures: tuple[CheckResult, ...]


def check_table(report: CheckReport) -> CheckTable:
    """Lay out verify's results."""
    hosts = list(dict.fromkeys(result.host for result in report.results))
    failed = {result.host for result in report.failures}
    crowded = len(hosts) > COLUMNS
    hosts.sort(key=lambda host: (crowded and host not in failed, host == CLUSTER))
    columns = tuple(hosts[:COLUMNS])
    names = dict.fromkeys(result.check for result in report.results)
    return CheckTable(
        ok=report.ok,
        took=duration(report.seconds),
        hosts=columns,
        left_out=len(hosts) - len(columns),
        rows=tuple(_row(name, report, columns) for name in names),
        failures=report.failures,
    )


def _row(name: str, report: CheckReport, columns: tuple[str, ...]) -> CheckRow:
    results = [result for result in report.results if result.check == name]
    results.sort(key=lambda result: result.status is not Status.FAILED)
    by_host = {result.host: Cell(result.status.value, result.message) for result in reversed(results)}
    return CheckRow(
        name=name,
        title=_TITLES.get(name, ""),
        status=overall(results).value,
        summary=VERIFY.counted(results),
        cells=tuple(by_host.get(host, Cell("", "")) for host in columns),
        results=tuple(results),
    )

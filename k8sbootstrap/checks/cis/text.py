"""A report of the CIS benchmark as text."""

from collections.abc import Iterable, Iterator, Mapping

from rich.text import Text

from k8sbootstrap.checks.formats import CIS, by_host
from k8sbootstrap.checks.framework import CheckReport, CheckResult, Status

_COLUMNS = (Status.PASSED, Status.WARNING, Status.FAILED, Status.SKIPPED)
_STYLES = {Status.FAILED: "bold red", Status.WARNING: "yellow"}
_MARGIN = " " * 8


def text(report: CheckReport, reasons: Mapping[str, str], *, every: bool) -> Iterator[Text]:
    """Lines for people: how many controls of each host have which status, then those that failed.

    Args:
        report: What to tell.
        reasons: Why a control is at WARN or can't be judged, by its ID.
        every: Also list those at WARN and those that were not run.
    """
    yield from _table(by_host(report))
    shown = _COLUMNS[1:] if every else (Status.FAILED,)
    for status in sorted(shown, key=(Status.FAILED, Status.WARNING, Status.SKIPPED).index):
        controls: dict[str, list[CheckResult]] = {}
        for result in report.having(status):
            controls.setdefault(result.check, []).append(result)
        for name, results in controls.items():
            yield from _control(results, reasons.get(name, ""))


def _table(hosts: Mapping[str, Iterable[CheckResult]]) -> Iterator[Text]:
    width = max(map(len, hosts), default=0)
    words = [CIS.word(status) for status in _COLUMNS]
    yield Text(" " * width + "".join(f"  {word:>7}" for word in words))
    for host, results in hosts.items():
        line = Text(f"{host:<{width}}")
        statuses = [result.status for result in results]
        for status in _COLUMNS:
            number = statuses.count(status)
            line.append(f"  {number:>7}", style=_STYLES.get(status, "") if number else "")
        yield line


def _control(results: list[CheckResult], reason: str) -> Iterator[Text]:
    """A control, what was seen on which hosts, and what to do."""
    first = results[0]
    head = Text(f"{CIS.word(first.status):<8}", style=_STYLES.get(first.status, ""))
    yield head.append(f"{first.check} {first.title}", style="")
    messages: dict[str, list[str]] = {}
    for result in results:
        messages.setdefault(result.message, []).append(result.host)
    for message, names in messages.items():
        yield Text(f"{_MARGIN}{', '.join(names)}" + (f": {message}" if message else ""))
    if reason and first.status is not Status.FAILED:
        yield Text(f"{_MARGIN}Why: {reason}")
    for line in first.fix.splitlines():
        yield Text(f"{_MARGIN}  {line}".rstrip())

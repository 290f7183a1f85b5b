"""A report of Conformance as text."""

from collections.abc import Iterable, Iterator

from rich.text import Text

from k8sbootstrap.checks.formats import CONFORMANCE
from k8sbootstrap.checks.framework import CheckReport, CheckResult, Status

_COLUMNS = (Status.PASSED, Status.FAILED, Status.SKIPPED)
_STYLES = {Status.FAILED: "bold red", Status.SKIPPED: "yellow"}
_MARGIN = " " * 8
_LINES = 6
"""Of a message."""


def text(report: CheckReport, *, every: bool) -> Iterator[Text]:
    """Lines for people: how many tests of each group have which status, then those that did not pass.

    Args:
        report: What to tell.
        every: Also list what passed, and whole messages.
    """
    groups: dict[str, list[CheckResult]] = {}
    for result in report.results:
        groups.setdefault(result.check, []).append(result)
    yield from _table(groups)
    for status in (Status.FAILED, Status.SKIPPED, *((Status.PASSED,) if every else ())):
        for result in report.having(status):
            yield from _test(result, every=every)


def _table(groups: dict[str, list[CheckResult]]) -> Iterator[Text]:
    width = max(map(len, groups), default=0)
    yield Text(" " * width + "".join(f"  {CONFORMANCE.word(status):>7}" for status in _COLUMNS))
    for group in sorted(groups):
        yield _counts(f"{group:<{width}}", groups[group])
    if len(groups) > 1:
        yield _counts(f"{'all':<{width}}", [result for results in groups.values() for result in results])


def _counts(head: str, results: Iterable[CheckResult]) -> Text:
    statuses = [result.status for result in results]
    line = Text(head)
    for status in _COLUMNS:
        number = statuses.count(status)
        line.append(f"  {number:>7}", style=_STYLES.get(status, "") if number else "")
    return line


def _test(result: CheckResult, *, every: bool) -> Iterator[Text]:
    head = Text(f"{CONFORMANCE.word(result.status):<8}", style=_STYLES.get(result.status, ""))
    yield head.append(result.title, style="")
    lines = result.message.splitlines()
    for line in lines if every else lines[:_LINES]:
        yield Text(f"{_MARGIN}{line}".rstrip())
    if not every and len(lines) > _LINES:
        yield Text(f"{_MARGIN}... ({len(lines) - _LINES} more lines)")

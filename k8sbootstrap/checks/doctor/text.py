"""A diagnosis as lines for people."""

from collections.abc import Iterator

from rich.text import Text

from k8sbootstrap.checks.doctor.causes import Cause, Diagnosis
from k8sbootstrap.checks.framework import CheckResult, Status
from k8sbootstrap.formats.text import count, duration, moment

_SHOWN = 8
"""Consequences shown of one cause."""
_STYLES = {Status.FAILED: "bold red", Status.WARNING: "yellow"}


def text(diagnosis: Diagnosis, now: float, *, every: bool) -> Iterator[Text]:
    """Lines for people: every cause with its evidence and its fix, and below it what follows from it.

    Args:
        diagnosis: What is wrong.
        now: Seconds since 1970; from then on it is told how long ago something began.
        every: Also show the evidence of consequences, and all of them.
    """
    for number, cause in enumerate(diagnosis.causes, 1):
        yield from _cause(cause, number, now, every=every)
        yield Text()
    yield Text(_summary(diagnosis))


def _cause(cause: Cause, number: int, now: float, *, every: bool) -> Iterator[Text]:
    finding = cause.finding
    yield _head(f"{number}. ", finding)
    yield from _details(finding, now, " " * 3)
    if not cause.consequences:
        return
    yield Text("   from this follows:")
    shown = cause.consequences if every else cause.consequences[:_SHOWN]
    for each in shown:
        yield _head("     ", each)
        if every:
            yield from _details(each, now, " " * 8)
    if len(shown) < len(cause.consequences):
        yield Text(f"     and {len(cause.consequences) - len(shown)} more: run k8sbootstrap -v doctor")


def _head(indent: str, finding: CheckResult) -> Text:
    line = Text(indent).append(finding.check, style=_STYLES.get(finding.status, ""))
    return line.append(f"  {finding.host}: {finding.message}")


def _details(finding: CheckResult, now: float, indent: str) -> Iterator[Text]:
    if finding.since is not None:
        yield Text(f"{indent}since {moment(finding.since)} ({duration(now - finding.since, 0)} ago)", "dim")
    for line in finding.evidence:
        yield Text(f"{indent}seen: {line}", style="dim")
    if finding.fix:
        yield Text(f"{indent}{finding.fix}")


def _summary(diagnosis: Diagnosis) -> str:
    seconds = f"({diagnosis.report.seconds:.1f} s)"
    if not diagnosis.causes:
        return f"Nothing found: the cluster {diagnosis.report.cluster} is well {seconds}."
    found = len(diagnosis.report.results)
    causes = len(diagnosis.causes)
    return f"{count(found, 'finding')}, {count(causes, 'cause')} {seconds}. Fix the first one first."

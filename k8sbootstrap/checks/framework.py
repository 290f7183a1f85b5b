"""What a check is, how checks are applied, and what comes out.

Preflight, the checks before an upgrade, verify and doctor are lists of checks. A check judges a case: facts
that were found before. It asks nobody, so recorded facts test it. A new check is a function that judges, and
one line in a list.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from inspect import getdoc
from typing import Generic, TypeVar

from k8sbootstrap.errors import PreflightError

CLUSTER = "cluster"
"""Stands for the host's name in results that belong to no single host."""
DOWN = "known to be down"
"""What is said of a host that the user named with --allow-down."""
SETTLE = 30.0
"""Seconds that something just started, just elected or just moved may take to be well."""

Case = TypeVar("Case")
T = TypeVar("T")


class Status(StrEnum):
    """How a check ended. A report may have another word for it: see ``formats.Form``."""

    PASSED = "passed"
    WARNING = "warning"
    """Worth knowing; nothing stops because of it."""
    FAILED = "failed"
    IGNORED = "ignored"
    """Failed, but the user named the check as one that may fail."""
    SKIPPED = "skipped"
    """Not judged; the message says why."""


@dataclass(frozen=True)
class Verdict:
    """What a check says."""

    status: Status
    message: str
    """What was seen; for a failure, enough to know where to look next."""
    fix: str = ""
    """What would fix it; empty where the message says enough."""
    host: str = ""
    """Name of the host that it is about; empty for whatever the case is about."""
    evidence: tuple[str, ...] = ()
    """What shows it: lines of a journal or a file, numbers."""
    since: float | None = None
    """When it began, in seconds since 1970; None where that is not known."""

    def on(self, host: str) -> "Verdict":
        """The same about one host."""
        return replace(self, host=host)


def passed(message: str) -> Verdict:
    """All is well."""
    return Verdict(Status.PASSED, message)


def warning(message: str, fix: str = "") -> Verdict:
    """Worth knowing."""
    return Verdict(Status.WARNING, message, fix)


def failed(message: str, fix: str = "") -> Verdict:
    """Something is wrong."""
    return Verdict(Status.FAILED, message, fix)


def skipped(message: str) -> Verdict:
    """It could not be judged, or must not be."""
    return Verdict(Status.SKIPPED, message)


@dataclass(frozen=True)
class Check(Generic[Case]):
    """A named check."""

    name: str
    """Users ignore it by this name, and scripts read it."""
    judge: Callable[[Case], Verdict | Iterable[Verdict]]
    """Gives one verdict, or one for each host. Its docstring's first paragraph says when the check passes,
    and the one that begins with "Fix:" what to do if it does not."""
    title: str = ""
    """What is so when it passes, in a few words; empty where reports show names alone."""
    settles: bool = False
    """Whether a moment may fix it: just restarted, just elected, just moved."""

    @cached_property
    def description(self) -> str:
        """When it passes, in a sentence: the first paragraph of the judge's docstring."""
        return " ".join((getdoc(self.judge) or "").split("\n\n")[0].split())

    def verdicts(self, case: Case) -> Iterable[Verdict]:
        """All verdicts on a case."""
        said = self.judge(case)
        return (said,) if isinstance(said, Verdict) else said


@dataclass(frozen=True)
class CheckResult:
    """What one check said about one host, or about the cluster."""

    check: str
    """Name of the check."""
    host: str
    status: Status
    message: str
    fix: str = ""
    seconds: float = 0.0
    """From asking to knowing."""
    title: str = ""
    """What is so when the check passes; empty where reports show its name alone."""
    evidence: tuple[str, ...] = ()
    """What shows it."""
    since: float | None = None
    """When it began, in seconds since 1970; None where that is not known."""


@dataclass(frozen=True)
class CheckReport:
    """All results of one command, in order."""

    cluster: str
    """Name of the cluster."""
    results: tuple[CheckResult, ...]
    seconds: float = 0.0
    """Wall time of all of it."""

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The results that failed and count."""
        return self.having(Status.FAILED)

    @property
    def failed_on(self) -> str:
        """Names of the checks that failed, each with its hosts; empty where none failed."""
        hosts: dict[str, list[str]] = {}
        for result in self.failures:
            hosts.setdefault(result.check, []).append(result.host)
        return "; ".join(f"{check} ({', '.join(names)})" for check, names in hosts.items())

    @property
    def ok(self) -> bool:
        """Whether nothing failed, and something was judged: where all was skipped nothing is known."""
        return not self.failures and any(result.status is not Status.SKIPPED for result in self.results)

    def having(self, *statuses: Status) -> tuple[CheckResult, ...]:
        """The results with one of these statuses."""
        return tuple(result for result in self.results if result.status in statuses)


def apply(
    checks: Iterable[Check[Case]], case: Case, host: str, ignore: Collection[str] = ()
) -> Iterator[CheckResult]:
    """Judge a case by checks.

    Args:
        checks: In the order of the report.
        case: What the checks look at.
        host: Whom the case is about, for verdicts that name no host.
        ignore: Names of checks whose failures do not count.

    Yields:
        A result for each verdict.
    """
    for check in checks:
        for verdict in check.verdicts(case):
            ignored = verdict.status is Status.FAILED and check.name in ignore
            status = Status.IGNORED if ignored else verdict.status
            yield CheckResult(
                check.name,
                verdict.host or host,
                status,
                verdict.message,
                verdict.fix,
                title=check.title,
                evidence=verdict.evidence,
                since=verdict.since,
            )


def may_settle(checks: Iterable[Check[Case]], results: Iterable[CheckResult]) -> list[CheckResult]:
    """The failures that a moment may fix.

    Args:
        checks: The checks that were applied.
        results: What they said.
    """
    settling = {check.name for check in checks if check.settles}
    return [result for result in results if result.status is Status.FAILED and result.check in settling]


def settle(
    look: Callable[[], T], is_worth_waiting: Callable[[T], bool], poll: float, seconds: float | None = None
) -> T:
    """Look again until waiting has no point any more, or until time is over.

    Args:
        look: Asks hosts.
        is_worth_waiting: Whether what was seen may be better in a moment.
        poll: Seconds between two looks.
        seconds: How long at most; ``SETTLE`` where it is None.

    Returns:
        What the last look saw.
    """
    deadline = time.monotonic() + (SETTLE if seconds is None else seconds)
    while True:
        seen = look()
        if not is_worth_waiting(seen) or time.monotonic() + poll > deadline:
            return seen
        time.sleep(poll)


def require(report: CheckReport) -> None:
    """Let only a report without failures pass: to be called before anything is changed.

    Raises:
        PreflightError: Something failed; says everything that did, and what would fix it.
    """
    if not report.failures:
        return
    lines = []
    for result in report.failures:
        lines.append(f"{result.host}: {result.check}: {result.message}")
        if result.fix:
            lines.append(f"    {result.fix}")
    checks = dict.fromkeys(result.check for result in report.failures)
    count = len(report.failures)
    raise PreflightError(
        f"{count} preflight {'check' if count == 1 else 'checks'} failed, and nothing was changed:\n"
        + "\n".join(lines),
        hint="Fix these problems, then run the same command again. To ignore a harmless "
        "problem, give the name of its check: " + ", ".join(checks) + ".",
    )

"""A check's verdict, its place in the report, and the report."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """Worth knowing; nothing stops because of it."""
    FAILED = "failed"
    IGNORED = "ignored"
    """Failed, but named to be ignored."""
    SKIPPED = "skipped"
    """Could not be looked at, because an earlier check failed."""


@dataclass(frozen=True)
class Verdict:
    """What one check has to say about one host."""

    status: Status
    message: str
    fix: str = ""
    """What would fix it."""


def ok(message: str) -> Verdict:
    """All is well."""
    return Verdict(Status.OK, message)


def warning(message: str, fix: str = "") -> Verdict:
    """Worth knowing."""
    return Verdict(Status.WARNING, message, fix)


def failed(message: str, fix: str) -> Verdict:
    """The host is not fit."""
    return Verdict(Status.FAILED, message, fix)


def skipped(message: str) -> Verdict:
    """It could not be looked at."""
    return Verdict(Status.SKIPPED, message)


@dataclass(frozen=True)
class CheckResult:
    """One check on one host."""

    host: str
    check: str
    status: Status
    message: str
    fix: str


@dataclass(frozen=True)
class PreflightReport:
    """All checks on all hosts, in the order of the hosts and of the checks."""

    results: tuple[CheckResult, ...]

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """What stands in the way."""
        return self.having(Status.FAILED)

    def having(self, *statuses: Status) -> tuple[CheckResult, ...]:
        """The results with one of these statuses."""
        return tuple(result for result in self.results if result.status in statuses)

    @property
    def summary(self) -> str:
        """Counts in one line, as in ``3 hosts, 16 checks each: 44 ok, 1 warning, 3 failed``."""
        hosts = len({result.host for result in self.results})
        checks = len({result.check for result in self.results})
        counts = {status: len(self.having(status)) for status in Status}
        told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        return f"{hosts} {'host' if hosts == 1 else 'hosts'}, {checks} checks each: {told}"

    def to_json(self) -> dict[str, Any]:
        """For ``-o json``: whether all is well, counts by status, and the list of results."""
        return {
            "ok": not self.failed,
            "counts": {status.value: len(self.having(status)) for status in Status},
            "results": [asdict(result) for result in self.results],
        }

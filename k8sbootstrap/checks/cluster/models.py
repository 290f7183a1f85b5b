"""What verify says: one result per check and subject, and the report that holds them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from k8sbootstrap.survey.cluster.facts import Facts

CLUSTER = "cluster"
"""Subject of results that belong to no single host."""


class Status(StrEnum):
    """How a check of one subject ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Result:
    """What one check saw on one subject."""

    check: str
    """Name of the check."""
    host: str
    """Name of the host, or ``cluster``."""
    status: Status
    message: str
    """What was seen; for a failure, enough to know where to look next."""
    seconds: float = 0.0
    """Time from asking to knowing, in seconds."""


@dataclass(frozen=True)
class Verdict:
    """A check's word on one subject, before it is known how long it took."""

    host: str
    status: Status
    message: str


@dataclass(frozen=True)
class Check:
    """One named check. ``judge`` only looks at facts: it runs nothing, so recorded facts test it."""

    name: str
    title: str
    """What it means when it passes, in a few words."""
    judge: Callable[[Facts], Iterable[Verdict]]


def passed(host: str, message: str) -> Verdict:
    """All is well with ``host``."""
    return Verdict(host, Status.PASSED, message)


def failed(host: str, message: str) -> Verdict:
    """Something is wrong with ``host``."""
    return Verdict(host, Status.FAILED, message)


def skipped(host: str, message: str) -> Verdict:
    """``host`` was not checked; the message says why."""
    return Verdict(host, Status.SKIPPED, message)


@dataclass(frozen=True)
class VerifyReport:
    """All results of one run, in the order of the checks."""

    cluster: str
    results: tuple[Result, ...]
    seconds: float
    """Wall time of the whole run, in seconds."""

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that failed."""
        return tuple(result for result in self.results if result.status is Status.FAILED)

    @property
    def ok(self) -> bool:
        """Whether nothing failed (skipped checks do not count) and something passed."""
        return not self.failures and any(result.status is Status.PASSED for result in self.results)

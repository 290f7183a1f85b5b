"""A rule of doctor: a check whose failure is a finding, and what such a finding follows from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from k8sbootstrap.checks.doctor.case import Case
from k8sbootstrap.checks.framework import Check, Status, Verdict

Findings = Iterator[Verdict]
_FUTURE = 1 << 33
"""A time that no clock shows, in seconds since 1970."""


@dataclass(frozen=True)
class Rule(Check[Case]):
    """A check that gives a verdict for each thing that is wrong, and none where nothing is.

    Its name is the id of its findings. Its judge's docstring says what is wrong then.
    """

    follows: tuple[str, ...] = ()
    """Ids of findings on the same host that explain this one."""
    follows_any: tuple[str, ...] = ()
    """Ids of findings that explain this one wherever they are."""


def found(
    host: str,
    message: str,
    fix: str,
    *,
    evidence: Iterable[str] = (),
    since: float | None = None,
    harmless: bool = False,
) -> Verdict:
    """Something that is wrong.

    Args:
        host: The host's name, or ``framework.CLUSTER``.
        message: What is wrong.
        fix: The command that fixes it, and where to run it.
        evidence: What shows it.
        since: When it began, in seconds since 1970.
        harmless: The cluster works all the same, now.
    """
    if since is not None and not 0 < since < _FUTURE:  # what a host reports can be anything
        since = None
    status = Status.WARNING if harmless else Status.FAILED
    return Verdict(status, message, fix, host, tuple(evidence), since)


def on(host: str, command: str) -> str:
    """Where to run a command."""
    return f"On {host}, run: {command}"

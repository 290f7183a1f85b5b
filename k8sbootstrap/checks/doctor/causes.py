"""From what rules found to causes, each with what follows from it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from k8sbootstrap.checks.doctor import RULES
from k8sbootstrap.checks.doctor.case import Case
from k8sbootstrap.checks.doctor.rule import Rule
from k8sbootstrap.checks.framework import CLUSTER, CheckReport, CheckResult, Status, apply
from k8sbootstrap.formats.text import printable, shortened
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.doctor.look import ClusterLook

_LONGEST = 600
_LONGEST_FIX = 2000
"""A command must not be cut."""


@dataclass(frozen=True)
class Cause:
    """A finding that follows from none of the others."""

    finding: CheckResult
    consequences: tuple[CheckResult, ...] = ()
    """Findings that follow from it, in causal order."""

    @property
    def harmless(self) -> bool:
        """Whether the cluster works all the same, now."""
        return all(each.status is Status.WARNING for each in (self.finding, *self.consequences))


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a cluster."""

    report: CheckReport
    """All findings, in causal order."""
    causes: tuple[Cause, ...]
    """The likeliest cause of all first; what is harmless comes last."""


def diagnose(plan: ClusterPlan, look: ClusterLook) -> Diagnosis:
    """Apply all rules to what was seen, and tell causes from consequences.

    Args:
        plan: The cluster as it should be.
        look: What hosts and the API said.
    """
    case = Case(plan, look)
    findings = tuple(_clean(each) for each in apply(RULES, case, CLUSTER))
    return Diagnosis(CheckReport(plan.config.name, findings, look.seconds), arrange(findings))


def arrange(findings: Sequence[CheckResult], rules: Sequence[Rule] = RULES) -> tuple[Cause, ...]:
    """Put every finding below the one that it follows from.

    Args:
        findings: In causal order.
        rules: Say what follows from what.
    """
    by_name = {rule.name: rule for rule in rules}
    roots: dict[int, int] = {}
    for index, each in enumerate(findings):
        parent = _parent(index, findings, by_name[each.check])
        roots[index] = index if parent is None else roots[parent]
    causes = [
        Cause(
            findings[index],
            tuple(each for other, each in enumerate(findings) if other != index and roots[other] == index),
        )
        for index in range(len(findings))
        if roots[index] == index
    ]
    return tuple(sorted(causes, key=lambda cause: cause.harmless))


def _parent(index: int, findings: Sequence[CheckResult], rule: Rule) -> int | None:
    """The finding that this one follows from: the one that its rule names first."""
    mine = findings[index]
    return next(_explaining(mine.host, findings[:index], rule), None)


def _explaining(host: str, earlier: Sequence[CheckResult], rule: Rule) -> Iterator[int]:
    for name in rule.follows:
        yield from (i for i, each in enumerate(earlier) if each.check == name and each.host == host)
    for name in rule.follows_any:
        yield from (i for i, each in enumerate(earlier) if each.check == name)


def _clean(finding: CheckResult) -> CheckResult:
    """The finding, fit to be shown: hosts and the API are quoted in it."""
    return replace(
        finding,
        message=_line(finding.message),
        fix=_line(finding.fix, _LONGEST_FIX),
        evidence=tuple(_line(each) for each in finding.evidence if each.strip()),
    )


def _line(text: str, most: int = _LONGEST) -> str:
    return shortened(" ".join(printable(text).split()), most)


def as_document(diagnosis: Diagnosis) -> Mapping[str, object]:
    """The documented JSON form: see docs/doctor.md."""
    return {
        "cluster": diagnosis.report.cluster,
        "ok": not diagnosis.causes,
        "seconds": diagnosis.report.seconds,
        "findings": [
            {**_document(cause.finding), "consequences": [_document(each) for each in cause.consequences]}
            for cause in diagnosis.causes
        ],
    }


def _document(finding: CheckResult) -> dict[str, object]:
    return {
        "id": finding.check,
        "about": finding.title,
        "host": finding.host,
        "status": finding.status.value,
        "message": finding.message,
        "evidence": list(finding.evidence),
        "since": _iso(finding.since),
        "fix": finding.fix,
    }


def _iso(since: float | None) -> str | None:
    return None if since is None else datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")

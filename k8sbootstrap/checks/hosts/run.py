"""Ask every host at once, then judge: all checks, all hosts, all reported."""

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import resources

from k8sbootstrap.catalog.distributions import host_platforms
from k8sbootstrap.checks.hosts import CHECKS
from k8sbootstrap.checks.hosts.base import Case, Seen
from k8sbootstrap.checks.hosts.models import (
    CheckResult,
    PreflightReport,
    Status,
    Verdict,
    failed,
    ok,
    skipped,
)
from k8sbootstrap.errors import K8sBootstrapError, PreflightError, SudoError
from k8sbootstrap.hosts.ask import NoPythonError, Question, Session, UnusableAnswerError, ask, shown
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.facts import RAW, facts_of

OLDEST_PYTHON = (3, 9)
"""The oldest that the modules are checked for."""
ACCESS_CHECKS = {
    "ssh": "The host answers over SSH, shows its known key and lets the user log in.",
    "sudo": "The user can become root with sudo.",
    "python": "Python 3.9 or later is installed.",
}
"""Checks that come before all others, with their descriptions: without them nothing can be seen."""
CHECK_NAMES = (*ACCESS_CHECKS, *(check.name for check in CHECKS))
"""All names that can be ignored, in the order of the report."""

_PROBE_TIMEOUT = 30.0


def run_preflight(
    plan: ClusterPlan, pool: Pool, *, ignore: Collection[str] = (), without: Collection[str] = ()
) -> PreflightReport:
    """Check every host of the plan, in parallel. Changes nothing on them.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        ignore: Names of checks (see ``CHECK_NAMES``) whose failures do not count.
        without: Names of hosts to leave out.

    Raises:
        ValueError: A name in ``ignore`` is none of a check.
    """
    if unknown := sorted(set(ignore) - set(CHECK_NAMES)):
        raise ValueError(f"no such check: {', '.join(unknown)}; there are: {', '.join(CHECK_NAMES)}")
    hosts = [host for host in plan.hosts if host.name not in without]
    platforms = {host.name: host_platforms(plan.package_purposes(host)) for host in hosts}
    answers = pool.on_all(
        (host.ssh for host in hosts), lambda host, session: probe(host, session, platforms[host])
    )
    seen = {name: answer for name, answer in answers.items() if isinstance(answer, Seen)}
    return PreflightReport(
        tuple(
            _result(host, check, verdict, ignore)
            for host in hosts
            for check, verdict in _verdicts(plan, host, answers[host.name], seen)
        )
    )


def require(report: PreflightReport) -> None:
    """Let only a report without failures pass.

    Raises:
        PreflightError: Something failed; says everything that did, and what would fix it.
    """
    if not report.failed:
        return
    lines = []
    for result in report.failed:
        lines.append(f"{result.host}: {result.check}: {result.message}")
        if result.fix:
            lines.append(f"    {result.fix}")
    checks = dict.fromkeys(result.check for result in report.failed)
    count = len(report.failed)
    raise PreflightError(
        f"{count} preflight {'check' if count == 1 else 'checks'} failed, and nothing was changed:\n"
        + "\n".join(lines),
        hint="Fix these and run again. What you know to be harmless can be ignored by name: "
        + ", ".join(checks)
        + ".",
    )


def probe(host: str, session: Session, platforms: Sequence[Mapping[str, object]]) -> Seen:
    """See everything on one host.

    Args:
        host: Its name.
        session: The host.
        platforms: What it would install, by distribution.

    Raises:
        SudoError: The user cannot become root.
        K8sBootstrapError: The host has no usable Python, or the connection broke.
    """
    script = resources.files("k8sbootstrap.hosts.scripts").joinpath("facts.py").read_bytes()
    asked = time.time()
    raw = ask(host, session, Question(script, json.dumps(platforms)), RAW, timeout=_PROBE_TIMEOUT)
    answered = time.time()
    try:
        return Seen(facts_of(raw), asked, answered)
    except ValueError as exc:
        raise UnusableAnswerError(
            f"{host}: its answer can't be used: {shown(str(exc), 200)}",
            hint="See what python3 prints there at start, and whether it is the right host.",
        ) from exc


def _verdicts(
    plan: ClusterPlan, host: HostPlan, answer: Seen | K8sBootstrapError, seen: Mapping[str, Seen]
) -> Iterator[tuple[str, Verdict]]:
    """Name and verdict of every check on one host."""
    blocked = ""
    for name, verdict in _access(host, answer).items():
        yield name, skipped(f"{blocked} failed") if blocked else verdict
        if not blocked and verdict.status is Status.FAILED:
            blocked = name
    for check in CHECKS:
        if isinstance(answer, Seen):
            yield check.name, check.judge(Case(plan, host, seen))
        else:
            yield check.name, skipped(f"{blocked} failed")


def _access(host: HostPlan, answer: Seen | K8sBootstrapError) -> dict[str, Verdict]:
    """Verdicts on ssh, sudo and python; those after a failed one mean nothing."""
    verdicts = {
        "ssh": ok(f"{host.ssh.user}@{host.ssh.address}:{host.ssh.port}"),
        "sudo": ok("works" if host.ssh.sudo else "not needed"),
        "python": ok("installed"),
    }
    if isinstance(answer, Seen):
        version = ".".join(str(part) for part in answer.facts.python)
        good = answer.facts.python[:2] >= OLDEST_PYTHON
        verdicts["python"] = ok(version) if good else failed(f"{version} is too old", "Install 3.9 or later.")
        return verdicts
    if isinstance(answer, NoPythonError | UnusableAnswerError):
        verdicts["python"] = failed(str(answer).removeprefix(f"{host.name}: "), answer.hint)
    else:
        verdicts["sudo" if isinstance(answer, SudoError) else "ssh"] = failed(str(answer), answer.hint)
    return verdicts


def _result(host: HostPlan, check: str, verdict: Verdict, ignore: Collection[str]) -> CheckResult:
    status = verdict.status
    if status is Status.FAILED and check in ignore:
        status = Status.IGNORED
    return CheckResult(host.name, check, status, verdict.message, verdict.fix)

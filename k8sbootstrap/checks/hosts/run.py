"""Ask every host at once, then judge: all checks, all hosts, all reported."""

import json
import time
from collections.abc import Collection, Iterator, Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

from k8sbootstrap.catalog.distributions import host_platforms
from k8sbootstrap.checks.framework import CheckReport, CheckResult, Status, apply
from k8sbootstrap.checks.hosts import ACCESS_CHECKS, CHECK_NAMES, CHECKS
from k8sbootstrap.checks.hosts.access import Access
from k8sbootstrap.checks.hosts.base import HostCase, Seen
from k8sbootstrap.errors import K8sBootstrapError
from k8sbootstrap.hosts.ask import Question, Session, UnusableAnswerError, ask, shown
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.connections import try_connections
from k8sbootstrap.survey.facts import RAW, facts_of
from k8sbootstrap.survey.status.bucket import trouble

_PROBE_TIMEOUT = 120.0


def run_preflight(
    plan: ClusterPlan,
    pool: Pool,
    *,
    ignore: Collection[str] = (),
    without: Collection[str] = (),
    store: Mapping[str, Any] = MappingProxyType({}),
) -> CheckReport:
    """Check every host of the plan, in parallel. Changes nothing on them.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        ignore: Names of checks (see ``CHECK_NAMES``) whose failures do not count.
        without: Names of hosts to leave out.
        store: The bucket for snapshots, as ``inventory.snapshot_store.read_store`` returned it.

    Raises:
        ValueError: A name in ``ignore`` is none of a check.
    """
    if unknown := sorted(set(ignore) - set(CHECK_NAMES)):
        raise ValueError(f"there is no check {', '.join(unknown)}; the checks are: {', '.join(CHECK_NAMES)}")
    hosts = [host for host in plan.hosts if host.name not in without]
    questions = {host.name: _question(plan, host) for host in hosts}
    stores = {host.name: store for host in hosts if host.is_etcd}
    answers = pool.on_all(
        (host.ssh for host in hosts),
        lambda host, session: probe(host, session, questions[host], stores.get(host, {})),
    )
    seen = {name: answer for name, answer in answers.items() if isinstance(answer, Seen)}
    tried = try_connections(
        plan,
        pool,
        [host for host in hosts if host.name in seen],
        but_not_to=[name for name, each in seen.items() if each.facts.firewalld],
    )
    return CheckReport(
        plan.config.name,
        tuple(
            result
            for host in hosts
            for result in _results(host, answers[host.name], HostCase(plan, host, seen, tried), ignore)
        ),
    )


def _question(plan: ClusterPlan, host: HostPlan) -> dict[str, object]:
    """What the probe of a host is to know."""
    virtual_ip = plan.config.api.virtual_ip if plan.shares_virtual_ip(host) else None
    return {
        "platforms": host_platforms(plan.package_purposes(host)),
        "address": str(host.private_address),
        "free": str(virtual_ip or ""),
    }


def probe(
    host: str,
    session: Session,
    question: Mapping[str, object],
    store: Mapping[str, Any] = MappingProxyType({}),
) -> Seen:
    """See everything on one host.

    Args:
        host: Its name.
        session: The host.
        question: What the probe is to know.
        store: The bucket that the host is to reach; empty for none.

    Raises:
        SudoError: The user cannot become root.
        K8sBootstrapError: The host has no usable Python, or the connection broke.
    """
    script = resources.files("k8sbootstrap.hosts.scripts").joinpath("facts.py").read_bytes()
    asked = time.time()
    raw = ask(host, session, Question(script, json.dumps(question)), RAW, timeout=_PROBE_TIMEOUT)
    answered = time.time()
    bucket = trouble(host, session, store) if store else None
    try:
        return Seen(facts_of(raw), asked, answered, bucket)
    except ValueError as exc:
        raise UnusableAnswerError(
            f"{host}: its answer can't be used: {shown(str(exc), 200)}",
            hint="Check that it is the right host, and that python3 prints nothing there when it starts.",
        ) from exc


def _results(
    host: HostPlan, answer: Seen | K8sBootstrapError, case: HostCase, ignore: Collection[str]
) -> Iterator[CheckResult]:
    """What every check says about one host."""
    access = Access(host, answer)
    yield from apply(ACCESS_CHECKS, access, host.name, ignore)
    if isinstance(answer, Seen):
        yield from apply(CHECKS, case, host.name, ignore)
        return
    for check in CHECKS:
        yield CheckResult(check.name, host.name, Status.SKIPPED, f"{access.blocked} failed")

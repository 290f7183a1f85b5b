"""Steps of an upgrade: see what runs, allow or refuse it, take a snapshot of etcd."""

from dataclasses import replace

from k8sbootstrap.actions.bucket import upload
from k8sbootstrap.actions.context import RunContext
from k8sbootstrap.actions.snapshot import take_before_upgrade
from k8sbootstrap.actions.step import StepReporter
from k8sbootstrap.catalog.data import numbers
from k8sbootstrap.checks.framework import CheckReport, Status, require, settle
from k8sbootstrap.checks.upgrade import UpgradeCase, is_worth_waiting, judge
from k8sbootstrap.errors import HostError, PreflightError
from k8sbootstrap.formats.text import megabytes
from k8sbootstrap.inventory.snapshot_store import read_store
from k8sbootstrap.survey.upgrade import find
from k8sbootstrap.survey.upgrade.models import PendingUpgrade
from k8sbootstrap.survey.upgrade.observe import Running, look_at

_POLL = 2.0
"""Seconds between looks while something has not settled."""


def is_other_release(context: RunContext) -> bool:
    """Whether the last run was for another release: then nothing is fetched before the upgrade is allowed."""
    return context.last_release not in {"", context.plan.release.version}


def require_same_release(context: RunContext) -> None:
    """See that there is no upgrade to do: only ``up`` does one.

    Raises:
        PreflightError: There is.
    """
    wanted = context.plan.release.version
    if is_other_release(context):
        known = f"the last run installed {context.last_release}"
    elif context.last_release or not (others := other_releases(context, look_at(context.plan, context.pool))):
        return
    else:
        known = f"hosts run {' and '.join(sorted(others, key=numbers))}"
    raise PreflightError(
        f"cluster.yaml says kubernetes.version: {wanted}, and {known}. Nothing was changed.",
        hint="Run k8sbootstrap up first, or set the version back.",
    )


def must_be_checked(context: RunContext) -> bool:
    """Whether what is to do may be an upgrade, and what runs was not looked at yet."""
    return context.running is None and find.may_be_upgrade(context.todo)


def check_upgrade(context: RunContext, step: StepReporter) -> None:
    """See what the cluster runs. Where that makes it an upgrade, let only an allowed one pass.

    Raises:
        PreflightError: It is not allowed.
        HostError: No host says what runs.
    """
    options = context.options
    left_out = {host.name for host in context.plan.hosts} - set(options.limit) if options.limit else ()

    def look() -> tuple[Running, CheckReport]:
        running = look_at(context.plan, context.pool)
        case = UpgradeCase(context.plan, running, frozenset(left_out))
        return running, judge(case, options.ignore_preflight)

    def waits(seen: tuple[Running, CheckReport]) -> bool:
        running, report = seen
        waiting = is_worth_waiting(report) and _is_upgrade(context, running)
        if waiting:
            step.status("; ".join(f"{result.check}: {result.message}" for result in report.failures))
        return waiting

    running, report = settle(look, waits, _POLL)
    if _is_upgrade(context, running):
        for result in report.having(Status.IGNORED):
            step.note(f"{result.check}: {result.status}: {result.message}")
        require(report)
    context.running = running


def is_upgrade(context: RunContext) -> bool:
    """Whether what is to do upgrades the cluster."""
    return _upgrade(context, context.running) is not None


def add_upgrade(context: RunContext, step: StepReporter) -> None:
    """Add the upgrade to what is to do, and say what it comes to."""
    upgrade = _upgrade(context, context.running)
    context.todo = replace(context.todo, upgrade=upgrade)
    if upgrade:
        for line in upgrade.lines():
            step.note(line)


def changes_etcd_data(context: RunContext) -> bool:
    """Whether another release is going to use etcd's data."""
    return context.todo.upgrade is not None and context.todo.upgrade.changes_data


def save_etcd(context: RunContext, step: StepReporter) -> None:
    """Take a snapshot of etcd. If the upload to the bucket fails, it is reported, and the run goes on.

    Raises:
        HostError: It could not be taken, or is damaged.
        ConfigError: The bucket's secret can't be read.
    """
    if context.running and context.todo.upgrade:
        taken = take_before_upgrade(context.plan, context.pool, context.running, context.todo.upgrade)
        step.note(f"{megabytes(taken.bytes)} on {taken.host}: {taken.path}")
        if store := read_store(context.plan, context.base):
            try:
                step.note(f"in the bucket: {upload(context.plan, context.pool, taken, store)}")
            except HostError as exc:
                step.note(str(exc))


def other_releases(context: RunContext, running: Running) -> set[str]:
    """Releases that hosts of cluster.yaml run, other than the one that it names."""
    ours = {host.name for host in context.plan.hosts}
    versions = running.versions().values()
    found = {version for hosts in versions for host, version in hosts.items() if host in ours}
    return found - {context.plan.release.version}


def _upgrade(context: RunContext, running: Running | None) -> PendingUpgrade | None:
    """The upgrade that is part of what is to do."""
    if running is None or not find.may_be_upgrade(context.todo):
        return None
    return find.find_upgrade(context.plan, running, context.todo, context.options.ignore_preflight)


def _is_upgrade(context: RunContext, running: Running) -> bool:
    """Whether it is an upgrade; until it is known what is to do, any other release on a host counts."""
    if context.todo.work:
        return _upgrade(context, running) is not None
    return bool(other_releases(context, running))

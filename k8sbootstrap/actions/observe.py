"""Steps that look at hosts and change nothing there: host keys, what they are like, whether they are fit."""

from collections.abc import Collection
from dataclasses import replace

from k8sbootstrap.actions.context import RunContext
from k8sbootstrap.actions.step import StepReporter
from k8sbootstrap.checks.framework import Status, require
from k8sbootstrap.checks.hosts import CHECK_NAMES
from k8sbootstrap.checks.hosts.run import run_preflight
from k8sbootstrap.checks.refusals import require_allowed
from k8sbootstrap.hosts.host_keys import ensure_known
from k8sbootstrap.inventory.snapshot_store import read_store
from k8sbootstrap.pki import rotation
from k8sbootstrap.run.board import HostCount
from k8sbootstrap.survey import todo_text
from k8sbootstrap.survey.authorities import recover_pki
from k8sbootstrap.survey.etcd_members import even
from k8sbootstrap.survey.nodes import with_unplanned
from k8sbootstrap.survey.renewal import restarting_roles
from k8sbootstrap.survey.todo import compare, look_at_hosts


def check_host_keys(context: RunContext, _step: StepReporter, dead: Collection[str] = ()) -> None:
    """See that the SSH keys of all hosts are known. Those that are dead may have become other machines.

    Raises:
        HostKeyError: One is not, or has changed.
    """
    options = context.options
    targets = [host.ssh for host in context.plan.hosts if host.name not in dead]
    ensure_known(context.pool, targets, accept_new=options.accept_new_host_keys, ask=options.ask)


def look(context: RunContext, _step: StepReporter) -> None:
    """See what hosts are like, and that nothing is planned which would break what is there.

    Raises:
        PreflightError: Something is.
    """
    context.found = look_at_hosts(context.plan, context.pool)
    found = context.found
    require_allowed(context.plan, found.findings, found.unreachable, restoring=context.restoring)
    context.plan = with_unplanned(context.plan, context.found.findings)


def preflight(context: RunContext, step: StepReporter) -> None:
    """See that hosts are fit. Those that a running cluster lost are left out.

    Raises:
        PreflightError: A host is not.
    """
    todo = context.todo
    report = run_preflight(
        context.plan,
        context.pool,
        ignore=tuple(name for name in context.options.ignore_preflight if name in CHECK_NAMES),
        without=todo.unreachable if todo.exists else (),
        store=read_store(context.plan, context.base),
    )
    for result in report.having(Status.WARNING, Status.IGNORED):
        step.note(f"{result.host}: {result.check}: {result.status}: {result.message}")
    require(report)


def lacks_authorities(context: RunContext) -> bool:
    """Whether the state directory has no certificate authorities."""
    return not (context.state.pki / "ca.crt").exists()


def take_authorities(context: RunContext, step: StepReporter) -> None:
    """See that masters run with the state's CAs; where it has none, take theirs if that is allowed.

    Raises:
        StateError: They run with others.
        HostError: The state has none, and the masters of the cluster do not answer.
    """
    offer = recover_pki(
        context.plan,
        context.pool,
        context.state,
        context.options.allow_authorities,
        members=context.members,
    )
    if offer:
        step.note(f"the state directory had none, so they were copied from {offer.hosts[0]}")
        for line in offer.lines():
            step.note(line)


def compare_hosts(context: RunContext, step: StepReporter) -> None:
    """See what is to do on which hosts. The record keeps the inventory, whatever is to do."""
    run, limit = context.run, context.options.limit
    run.record.keep_inventory(context.inventory_folder)
    found = compare(context.plan, context.inventory.digests, context.found)
    for host in context.plan.hosts:
        run.board.hosts.setdefault(host.name, HostCount())
    if found.renews:
        found = replace(found, one_by_one=restarting_roles(context.plan))
    context.todo = found.limited(limit) if limit else found
    rotates = ["a rotation of CAs is under way: k8sbootstrap certs rotate-ca continues it"]
    notes = rotates if rotation.under_way(run.state) else []
    for line in [*todo_text.summary(context.todo), *even(context.plan), *notes]:
        step.note(line)
    if len(context.todo.work) < len(found.work):
        left = [host for host in found.work if host not in context.todo.work]
        step.note(f"left out by --limit: {', '.join(left)}")

"""``etcd restore`` and ``etcd recover``: rebuild etcd, as the list of their steps."""

from pathlib import Path

from k8sbootstrap.actions.changing import changing
from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.install import verify
from k8sbootstrap.actions.restore_hosts import CONTROL_PLANE, have_done, place, service
from k8sbootstrap.actions.restore_snapshot import (
    Confirm,
    RestoreContext,
    find_snapshot,
    has_copy,
    recall,
    save_survivor,
    send,
    write_down,
)
from k8sbootstrap.actions.step import Step, StepReporter, take
from k8sbootstrap.checks.restoring import rebuilt
from k8sbootstrap.inventory.snapshot_store import read_store
from k8sbootstrap.plan.build import build_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import Summary
from k8sbootstrap.survey.status import etcd
from k8sbootstrap.survey.todo import Survey, look_at_hosts


def look(context: RestoreContext, step: StepReporter) -> None:
    """See which hosts take part.

    Raises:
        PreflightError: etcd can't be rebuilt like this.
    """
    plan, pool = context.plan, context.pool
    context.found = look_at_hosts(plan, pool)
    now = etcd.state(etcd.look(plan, pool))
    context.newest = next(iter(now.snapshots), None)
    context.hosts = rebuilt(plan, context.found, now.voters, survivor=context.survivor, dead=context.dead)
    context.todo = Survey({}, context.found.unreachable)
    if context.hosts.resumes:
        step.note("a restore was begun and has not ended")


def ask_user(context: RestoreContext, _step: StepReporter) -> None:
    """Show what is to do, and let the user stop it: then nothing stays on hosts.

    Raises:
        KeyboardInterrupt: The user does not want it.
    """
    if context.confirm:
        try:
            context.confirm(context)
        except KeyboardInterrupt:
            if not context.hosts.resumes:
                have_done(context.pool, context.hosts.members, "discard")
            raise


def mark(context: RestoreContext, _step: StepReporter) -> None:
    """Write down, here and on the members' hosts, that the restore begins: then nothing else starts etcd.

    Raises:
        HostError: A host could not be told.
    """
    write_down(context)
    have_done(context.pool, context.hosts.members, "mark", identity=context.restore.id)


def stop(context: RestoreContext, _step: StepReporter) -> None:
    """Stop what uses etcd, then etcd itself; a boot does not start them either.

    Raises:
        HostError: Something does not stop.
    """
    units = [f"{name}.service" for name in CONTROL_PLANE]
    have_done(context.pool, context.hosts.masters, "stop", units=units)
    have_done(context.pool, context.hosts.members, "stop", units=["etcd.service"])


def place_data(context: RestoreContext, _step: StepReporter) -> None:
    """Make each member's data from the snapshot; what was there is set aside.

    Raises:
        HostError: A host failed; the next run continues.
    """
    members = {host.name: str(host.private_address) for host in context.hosts.members}
    token = f"{context.plan.config.name}-{context.restore.id}"
    place(context.pool, context.hosts.members, members, token, context.restore.bump)


def start_etcd(context: RestoreContext, _step: StepReporter) -> None:
    """Start all members, and wait until they are healthy.

    Raises:
        HostError: One is not.
    """
    units = [service(context.plan, "etcd")]
    have_done(context.pool, context.hosts.members, "start", units=units)


def start_control_plane(context: RestoreContext, _step: StepReporter) -> None:
    """Start API servers, then what uses them.

    Raises:
        HostError: One is not healthy.
    """
    api, *others = CONTROL_PLANE
    for names in ([api], others):
        units = [service(context.plan, name) for name in names]
        have_done(context.pool, context.hosts.masters, "start", units=units)


def finish(context: RestoreContext, _step: StepReporter) -> None:
    """Write down that it has ended, and look at the cluster without hosts that are dead from here on.

    Raises:
        HostError: A host could not be told.
    """
    have_done(context.pool, context.hosts.members, "finish")
    for path in (context.note, context.copy):
        path.unlink(missing_ok=True)
    if context.hosts.left_out:
        dead = {host.name for host in context.hosts.left_out}
        hosts = [host for host in context.plan.config.hosts if host.name not in dead]
        config = context.plan.config.model_copy(update={"hosts": hosts})
        context.plan = build_plan(config, context.cluster_file)


BEFORE: tuple[Step[RestoreContext], ...] = (Step("look", "Look at hosts", look),)
AFTER: tuple[Step[RestoreContext], ...] = (
    Step("place", "Data of members", place_data),
    Step("start_etcd", "Start etcd", start_etcd),
    Step("start_control_plane", "Start API servers", start_control_plane),
    Step("finish", "", finish),
    Step("verify", "Verify", verify),
)
RESTORE: tuple[Step[RestoreContext], ...] = (
    *BEFORE,
    Step("snapshot", "Snapshot", find_snapshot),
    Step("send", "Snapshot to hosts", send),
    Step("confirm", "", ask_user),
    Step("mark", "", mark),
    Step("stop", "Stop API servers and etcd", stop),
    *AFTER,
)
"""Nothing but a copy of the snapshot is on a host before ``confirm``."""
RECOVER: tuple[Step[RestoreContext], ...] = (
    *BEFORE,
    Step("recall", "", recall),
    Step("confirm", "", ask_user),
    Step("mark", "", mark),
    Step("stop", "Stop API servers and etcd", stop),
    Step("save", "Data of the survivor", save_survivor, needed=lambda context: not has_copy(context)),
    Step("send", "Snapshot to hosts", send),
    *AFTER,
)


def run_restore(
    plan: ClusterPlan,
    cluster_file: Path,
    options: RunOptions,
    reporter: Reporter,
    *,
    file: Path | None,
    name: str = "",
    survivor: str,
    dead: bool,
    confirm: Confirm | None,
) -> tuple[Summary, RestoreContext]:
    """Rebuild all members of etcd from one snapshot, or from the data of a survivor.

    Killed at any moment and run again with the same arguments, it goes on.

    Args:
        plan: The cluster.
        cluster_file: cluster.yaml; the state directory is beside it.
        options: About host keys.
        reporter: Shows what happens.
        file: The snapshot; None for the newest one on a host or in the bucket, and with a name or a survivor.
        name: Of the snapshot in the bucket.
        survivor: Host whose data is all that there is; empty where there is a snapshot.
        dead: Hosts that don't answer never will.
        confirm: Shows what is to do; None asks nobody.

    Returns:
        How it went, and what was found and done.

    Raises:
        LockedError: Another command is changing this cluster.
        PreflightError: etcd can't be rebuilt like this; nothing was changed.
        HostError: A host failed.
        VerifyError: etcd is rebuilt, but the cluster does not work.
        InterruptedRunError: The user stopped it.
        K8sBootstrapError: Anything else that a user can fix.
    """
    command = "etcd recover" if survivor else "etcd restore"
    with changing(RestoreContext, command, plan, cluster_file, reporter, options=options) as context:
        context.file, context.survivor, context.dead, context.confirm = file, survivor, dead, confirm
        context.object = name
        if file is None and not survivor:
            context.store = read_store(plan, context.base)
        take(RECOVER if survivor else RESTORE, context, context.run.step)
    return context.run.result, context

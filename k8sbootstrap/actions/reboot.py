"""``reboot``: reboots hosts one after another while the cluster works on, as the list of its steps."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.actions.changing import changing
from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.out_of_service import (
    CONTROL_PLANE,
    drain,
    give_back,
    reboot,
    spare,
    stop,
    wait_until_well,
)
from k8sbootstrap.actions.step import Step, StepReporter, take
from k8sbootstrap.checks import outage as outages
from k8sbootstrap.checks.outage import Outage, require_answers
from k8sbootstrap.errors import HostError, PreflightError
from k8sbootstrap.hosts.ask import shown
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import Summary
from k8sbootstrap.survey.boots import Boot, boots
from k8sbootstrap.survey.etcd_voters import look_at_etcd
from k8sbootstrap.survey.nodes import cordoned
from k8sbootstrap.survey.todo import look_at_hosts

COMMAND = "reboot"
Confirm = Callable[["RebootContext"], None]
"""Shows what is to do and lets the user stop it with KeyboardInterrupt."""


@dataclass(frozen=True)
class Reboot:
    """A host that is rebooted."""

    host: HostPlan
    boot: Boot
    """The boot that it runs, and why it should be rebooted."""
    outage: Outage | None
    """None where a run that was stopped has rebooted it already: its node only gets its pods back."""


@dataclass(kw_only=True)
class RebootContext(RunContext):
    """What the steps share."""

    names: Sequence[str] = ()
    """Hosts to reboot."""
    if_required: bool = False
    """Whether only those are rebooted that ask for it."""
    confirm: Confirm | None = None
    """None asks nobody."""
    reboots: tuple[Reboot, ...] = ()
    """What is to do, in order."""


def look(context: RebootContext, step: StepReporter) -> None:
    """See which hosts are to be rebooted, and that the cluster can do without each.

    Raises:
        PreflightError: It can't.
    """
    plan = context.plan
    context.found = look_at_hosts(plan, context.pool)
    named = [host for host in plan.hosts if host.name in context.names]
    require_answers(plan, named, context.found)
    seen = boots(named, context.pool)
    unfinished = _unfinished(context)
    done, wanted = [], []
    for host in named:
        boot = seen[host.name]
        if unfinished.get(host.name, boot.boot) != boot.boot:
            done.append(host)
        elif not context.if_required or boot.reasons:
            wanted.append(host)
        else:
            step.note(f"{host.name}: no reboot is required")
    wanted.sort(key=lambda host: host.is_master or host.is_etcd)
    etcd = look_at_etcd(plan, context.pool)
    found = outages.outages(plan, wanted, context.found, etcd, together=False)
    context.reboots = (
        *(Reboot(host, seen[host.name], None) for host in done),
        *(Reboot(each.host, seen[each.host.name], each) for each in found),
    )


def ask_user(context: RebootContext, _step: StepReporter) -> None:
    """Show what is to do, and let the user stop it.

    Raises:
        KeyboardInterrupt: The user does not want it.
    """
    if context.confirm and context.reboots:
        context.confirm(context)


def look_again(each: Reboot) -> Callable[[RebootContext, StepReporter], None]:
    """See that the cluster can do without the host also now.

    Raises:
        HostError: It can't; the host was not rebooted.
    """

    def do(context: RebootContext, _step: StepReporter) -> None:
        plan = context.plan
        context.found = look_at_hosts(plan, context.pool)
        try:
            require_answers(plan, [each.host], context.found)
            etcd = look_at_etcd(plan, context.pool)
            outages.outages(plan, [each.host], context.found, etcd, together=False)
        except PreflightError as error:
            text = str(error).removesuffix("\nNothing was changed.")
            raise HostError(f"{each.host.name} was not rebooted: {text}", error.hint) from error

    return do


BEFORE: tuple[Step[RebootContext], ...] = (
    Step("look", "Look at hosts", look),
    Step("confirm", "", ask_user),
)
"""Nothing on a host changes before ``confirm``."""


def of_host(each: Reboot, *, first: bool) -> Iterator[Step[RebootContext]]:
    """What is done for one host, while all others work on."""
    host, name, boot, outage = each.host, each.host.name, each.boot.boot, each.outage
    if outage:
        if not first:
            yield Step("look", f"Look at hosts before {name}", look_again(each))
        if outage.drains:
            yield Step("drain", f"Drain {name}", drain(host, f"{COMMAND}:{boot}", "it was not rebooted"))
        if outage.is_member and not outage.etcd_stops:
            yield Step("spare", f"etcd without {name}", spare(outage))
        if host.is_master:
            yield Step("stop", f"Stop the control plane of {name}", stop(host, CONTROL_PLANE))
        if host.is_etcd:
            yield Step("stop_etcd", f"Stop etcd of {name}", stop(host, ("etcd",)))
        yield Step("reboot", f"Reboot {name}", reboot(host, boot))
    yield Step("well", f"Wait for {name}", wait_until_well(host))
    if host.is_node:
        yield Step("uncordon", f"Node {name}", give_back(host, (COMMAND,)))


def run_reboot(
    plan: ClusterPlan,
    cluster_file: Path,
    names: Sequence[str],
    options: RunOptions,
    reporter: Reporter,
    *,
    if_required: bool,
    confirm: Confirm | None,
) -> tuple[Summary, RebootContext]:
    """Reboot hosts of a running cluster, one after another.

    Killed at any moment and run again with the same names, it goes on.

    Args:
        plan: The cluster.
        cluster_file: cluster.yaml; the state directory is beside it.
        names: The hosts, each once.
        options: About host keys.
        reporter: Shows what happens.
        if_required: Leave out those that need no reboot.
        confirm: Shows what is to do; None asks nobody.

    Returns:
        How it went, and what was found and done.

    Raises:
        LockedError: Another command is changing this cluster.
        PreflightError: They must not be rebooted; nothing was changed.
        HostError: A host failed, did not come back or could not be reached; those after it were not rebooted.
        HookError: A hook failed that must not.
        InterruptedRunError: The user stopped it.
        K8sBootstrapError: Anything else that a user can fix.
    """
    with changing(RebootContext, "reboot", plan, cluster_file, reporter, options=options) as context:
        context.names, context.if_required, context.confirm = names, if_required, confirm
        take(BEFORE, context, context.run.step)
        for number, each in enumerate(context.reboots):
            take(of_host(each, first=number == 0), context, context.run.step)
    return context.run.result, context


def lines_of(context: RebootContext) -> list[str]:
    """What becomes of each host, and what the rest of the cluster notices."""
    lines = []
    for each in context.reboots:
        lines.append(f"{each.host.name}: {', '.join(_of(each))}")
        if each.outage:
            lines += outages.lines_of(each.outage, context.plan)
    return lines


def _of(each: Reboot) -> Iterator[str]:
    if each.outage is None:
        yield "it was rebooted before: its node takes pods again once it is well"
        return
    if each.outage.drains:
        yield "its pods move to other nodes"
    if each.host.is_master:
        yield "its control plane stops"
    reasons = f" ({'; '.join(map(shown, each.boot.reasons))})" if each.boot.reasons else ""
    yield f"it reboots{reasons}"


def _unfinished(context: RebootContext) -> dict[str, str]:
    """Hosts that a run that was stopped left cordoned, and the boot that they ran before."""
    held = cordoned(context.plan, context.found.findings)
    parts = {name: reason.partition(":") for name, reason in held.items()}
    return {name: boot for name, (command, _, boot) in parts.items() if command == COMMAND}

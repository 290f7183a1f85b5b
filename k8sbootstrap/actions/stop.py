"""``stop``: stops the services of hosts, or of the whole cluster, as the list of its steps."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.actions.changing import changing
from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.out_of_service import CONTROL_PLANE, drain, spare
from k8sbootstrap.actions.step import Step, StepReporter, take
from k8sbootstrap.actions.switch import ETCD, NODES, stop_on
from k8sbootstrap.checks import outage as outages
from k8sbootstrap.checks.outage import Outage, require_answers
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import Summary
from k8sbootstrap.survey.etcd_voters import look_at_etcd
from k8sbootstrap.survey.todo import look_at_hosts

COMMAND = "stop"
Confirm = Callable[["StopContext"], None]
"""Shows what is to do and lets the user stop it with KeyboardInterrupt."""


@dataclass(kw_only=True)
class StopContext(RunContext):
    """What the steps share."""

    names: Sequence[str] = ()
    """Hosts to stop; empty for the whole cluster."""
    confirm: Confirm | None = None
    """None asks nobody."""
    outages: tuple[Outage, ...] = ()
    """The hosts to stop, in order; empty for the whole cluster."""

    @property
    def is_whole(self) -> bool:
        """Whether all hosts stop."""
        return not self.names or all(host.name in self.names for host in self.plan.hosts)

    @property
    def reached(self) -> list[HostPlan]:
        """Hosts of the cluster that answered."""
        findings = self.found.findings
        name = self.plan.config.name
        return [
            host for host in self.plan.hosts if host.name in findings and findings[host.name].cluster == name
        ]


def look(context: StopContext, step: StepReporter) -> None:
    """See that the cluster can do without the hosts, where others go on.

    Raises:
        PreflightError: It can't.
    """
    plan = context.plan
    context.found = look_at_hosts(plan, context.pool)
    if context.is_whole:
        if not context.found.findings:
            require_answers(plan, plan.hosts, context.found)
        for error in context.found.unreachable.values():
            step.note(f"not reached, and left as it is: {error}")
        return
    named = [host for host in plan.hosts if host.name in context.names]
    named.sort(key=lambda host: host.is_master or host.is_etcd)
    require_answers(plan, named, context.found)
    etcd = look_at_etcd(plan, context.pool)
    context.outages = outages.outages(plan, named, context.found, etcd, together=True)


def ask_user(context: StopContext, _step: StepReporter) -> None:
    """Show what is to do, and let the user stop it.

    Raises:
        KeyboardInterrupt: The user does not want it.
    """
    if context.confirm:
        context.confirm(context)


BEFORE: tuple[Step[StopContext], ...] = (
    Step("look", "Look at hosts", look),
    Step("confirm", "", ask_user),
)
"""Nothing on a host changes before ``confirm``."""


def of_host(each: Outage) -> Iterator[Step[StopContext]]:
    """What is done for one host, while others work on."""
    host, name = each.host, each.host.name
    spared = each.is_member and not each.etcd_stops
    if each.drains:
        yield Step("drain", f"Drain {name}", drain(host, COMMAND, "it was not stopped"))
    if spared:
        yield Step("spare", f"etcd without {name}", spare(each))
    yield Step("stop", f"Stop services of {name}", stop_on([host], (*NODES, *CONTROL_PLANE, *ETCD)))
    if spared:
        yield Step("after", f"etcd without {name} afterwards", spare(each))


def of_cluster(hosts: Sequence[HostPlan]) -> Iterator[Step[StopContext]]:
    """What is done for the whole cluster: workers, then masters, then etcd."""
    masters = [host for host in hosts if host.is_master]
    for name, title, on, names in (
        ("stop_workers", "Stop workers", [host for host in hosts if not host.is_master], NODES),
        ("stop_masters", "Stop masters' nodes", masters, NODES),
        ("stop_control_plane", "Stop the control plane", masters, CONTROL_PLANE),
        ("stop_etcd", "Stop etcd", [host for host in hosts if host.is_etcd], ETCD),
    ):
        if on:
            yield Step(name, title, stop_on(on, names))


def run_stop(
    plan: ClusterPlan,
    cluster_file: Path,
    names: Sequence[str],
    options: RunOptions,
    reporter: Reporter,
    *,
    confirm: Confirm | None,
) -> tuple[Summary, StopContext]:
    """Stop the services of hosts, one host after another, or of the whole cluster.

    Killed at any moment and run again with the same names, it goes on.

    Args:
        plan: The cluster.
        cluster_file: cluster.yaml; the state directory is beside it.
        names: The hosts, each once; empty for the whole cluster.
        options: About host keys.
        reporter: Shows what happens.
        confirm: Shows what is to do; None asks nobody.

    Returns:
        How it went, and what was found and done.

    Raises:
        LockedError: Another command is changing this cluster.
        PreflightError: They must not be stopped; nothing was changed.
        HostError: A host failed or could not be reached.
        HookError: A hook failed that must not.
        InterruptedRunError: The user stopped it.
        K8sBootstrapError: Anything else that a user can fix.
    """
    with changing(StopContext, "stop", plan, cluster_file, reporter, options=options) as context:
        context.names, context.confirm = names, confirm
        take(BEFORE, context, context.run.step)
        if context.is_whole:
            take(of_cluster(context.reached), context, context.run.step)
        for each in context.outages:
            take(of_host(each), context, context.run.step)
    return context.run.result, context


def lines_of(context: StopContext) -> list[str]:
    """What becomes of each host, and what the rest of the cluster notices."""
    if context.is_whole:
        names = ", ".join(host.name for host in context.reached)
        return [f"all pods and all services of the cluster on {names}: workers first, etcd last"]
    lines = []
    for each in context.outages:
        moved = "its pods move to other nodes, " if each.drains else ""
        lines.append(f"{each.host.name}: {moved}all services of the cluster there stop")
        lines += outages.lines_of(each, context.plan)
    return lines

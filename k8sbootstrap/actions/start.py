"""``start``: starts the services of hosts that ``stop`` stopped, as the list of its steps."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.actions.changing import changing
from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.out_of_service import CONTROL_PLANE, give_back, wait_until_well
from k8sbootstrap.actions.step import Step, StepReporter, take
from k8sbootstrap.actions.switch import ETCD, NODES, start_on
from k8sbootstrap.checks.outage import require_answers, require_quorum
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.plan.phases import CORDONING
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import Summary
from k8sbootstrap.survey.etcd_voters import look_at_etcd
from k8sbootstrap.survey.nodes import cordoned
from k8sbootstrap.survey.todo import look_at_hosts

Confirm = Callable[["StartContext"], None]
"""Shows what is to do and lets the user stop it with KeyboardInterrupt."""


@dataclass(kw_only=True)
class StartContext(RunContext):
    """What the steps share."""

    names: Sequence[str] = ()
    """Hosts to start."""
    confirm: Confirm | None = None
    """None asks nobody."""

    @property
    def chosen(self) -> list[HostPlan]:
        """The hosts to start."""
        return [host for host in self.plan.hosts if host.name in self.names]

    @property
    def stopped(self) -> dict[str, tuple[str, ...]]:
        """By host, units that do not run; hosts where all run are missing."""
        found = {}
        for host in self.chosen:
            drift = self.found.findings[host.name].drift.values()
            units = [
                change.name
                for changes in drift
                for change in changes
                if (change.kind, change.action) == ("unit", "start")
            ]
            if units:
                found[host.name] = tuple(units)
        return found

    @property
    def held(self) -> list[str]:
        """Hosts whose nodes a command keeps pods off, as far as an API server can say."""
        reasons = cordoned(self.plan, self.found.findings)
        return [name for name in self.names if reasons.get(name, "").partition(":")[0] in CORDONING]


def look(context: StartContext, _step: StepReporter) -> None:
    """See what does not run, and that etcd will have a quorum.

    Raises:
        PreflightError: A host does not answer, or etcd will have none.
    """
    plan = context.plan
    context.found = look_at_hosts(plan, context.pool)
    require_answers(plan, context.chosen, context.found)
    require_quorum(plan, context.chosen, look_at_etcd(plan, context.pool))


def ask_user(context: StartContext, _step: StepReporter) -> None:
    """Show what is to do, and let the user stop it.

    Raises:
        KeyboardInterrupt: The user does not want it.
    """
    if context.confirm and is_to_do(context):
        context.confirm(context)


def is_to_do(context: StartContext) -> bool:
    """Whether a service does not run, or a node takes no pods."""
    return bool(context.stopped or context.held)


def look_again(context: StartContext, _step: StepReporter) -> None:
    """See which API servers answer now."""
    context.found = look_at_hosts(context.plan, context.pool)


BEFORE: tuple[Step[StartContext], ...] = (
    Step("look", "Look at hosts", look),
    Step("confirm", "", ask_user),
)
"""Nothing on a host changes before ``confirm``."""


def steps(hosts: Sequence[HostPlan]) -> Iterator[Step[StartContext]]:
    """What is done: etcd first, and pods last."""
    for name, title, on, names in (
        ("start_etcd", "Start etcd", [host for host in hosts if host.is_etcd], ETCD),
        ("start_control_plane", "Start the control plane", [h for h in hosts if h.is_master], CONTROL_PLANE),
        ("start_nodes", "Start nodes", [host for host in hosts if host.is_node], NODES),
    ):
        if on:
            yield Step(name, title, start_on(on, names))
    for host in hosts:
        yield Step("well", f"Wait for {host.name}", wait_until_well(host))
    yield Step("look", "Look at hosts", look_again)
    for host in hosts:
        if host.is_node:
            yield Step("uncordon", f"Node {host.name}", give_back(host, CORDONING))


def run_start(
    plan: ClusterPlan,
    cluster_file: Path,
    names: Sequence[str],
    options: RunOptions,
    reporter: Reporter,
    *,
    confirm: Confirm | None,
) -> tuple[Summary, bool]:
    """Start the services of hosts, wait until they are well, and let pods on their nodes.

    Args:
        plan: The cluster.
        cluster_file: cluster.yaml; the state directory is beside it.
        names: The hosts, each once.
        options: About host keys.
        reporter: Shows what happens.
        confirm: Shows what is to do; None asks nobody.

    Returns:
        How it went, and whether there was something to do.

    Raises:
        LockedError: Another command is changing this cluster.
        PreflightError: They can't be started; nothing was changed.
        HostError: A host failed, is not well or could not be reached.
        HookError: A hook failed that must not.
        InterruptedRunError: The user stopped it.
        K8sBootstrapError: Anything else that a user can fix.
    """
    with changing(StartContext, "start", plan, cluster_file, reporter, options=options) as context:
        context.names, context.confirm = names, confirm
        take(BEFORE, context, context.run.step)
        something = is_to_do(context)
        if something:
            take(steps(context.chosen), context, context.run.step)
    return context.run.result, something


def lines_of(context: StartContext) -> list[str]:
    """What becomes of each host."""
    lines = [f"{name}: {', '.join(units)} start" for name, units in context.stopped.items()]
    return lines + [f"{name}: its node takes pods again" for name in context.held]

"""``remove``: takes hosts out of a running cluster, as the list of its steps."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from k8sbootstrap.actions.changing import changing
from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.install import install, is_to_do, remember_hosts, verify
from k8sbootstrap.actions.observe import take_authorities
from k8sbootstrap.actions.prepare import PREPARE
from k8sbootstrap.actions.step import Step, StepReporter, take
from k8sbootstrap.actions.take_out import delete_node, drain, leave_etcd, stop_etcd, stop_services
from k8sbootstrap.actions.upgrade import require_same_release
from k8sbootstrap.checks.refusals import require_allowed
from k8sbootstrap.checks.removal import Departure, order
from k8sbootstrap.config import past_hosts
from k8sbootstrap.hosts import endpoint
from k8sbootstrap.hosts.known_hosts import KnownHosts
from k8sbootstrap.inventory.build import build_connections
from k8sbootstrap.inventory.write import write_inventory
from k8sbootstrap.plan.build import build_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.ansible import playbook_path
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import Summary
from k8sbootstrap.survey import todo_text
from k8sbootstrap.survey.departed import of_departure, without
from k8sbootstrap.survey.etcd_voters import leaving, look_at_etcd
from k8sbootstrap.survey.nodes import with_unplanned
from k8sbootstrap.survey.todo import compare, look_at_hosts

Confirm = Callable[["RemoveContext"], None]
"""Shows what is to do and lets the user stop it with KeyboardInterrupt."""


@dataclass(kw_only=True)
class RemoveContext(RunContext):
    """What the steps share. ``plan`` is that of all hosts at first, then that of those that stay."""

    names: Sequence[str] = ()
    """Hosts to take out."""
    dead: bool = False
    """Whether the user says that they are dead."""
    confirm: Confirm | None = None
    """None asks nobody."""
    departures: tuple[Departure, ...] = ()
    """The hosts to take out, in their order."""

    @property
    def leaving(self) -> tuple[Departure, ...]:
        """Those of which something is left in the cluster or on the host."""
        return tuple(each for each in self.departures if each.is_to_do)

    @property
    def nothing_to_do(self) -> bool:
        """Whether they have left, and all other hosts know."""
        return not self.leaving and self.todo.settled


def look(context: RemoveContext, _step: StepReporter) -> None:
    """See what is there, decide the order, and turn to the plan of the hosts that stay.

    Raises:
        PreflightError: The hosts must not be taken out.
    """
    plan = context.plan
    require_same_release(context)
    found = look_at_hosts(plan, context.pool)
    etcd = look_at_etcd(plan, context.pool)
    context.departures = order(plan, context.names, found, etcd, dead=context.dead)
    strangers = {name for name, each in found.findings.items() if each.cluster == ""}  # up adds these
    gone = [each.host for each in context.departures]
    stay = [host.name for host in plan.hosts if host.name not in {*context.names, *strangers}]
    hosts = [host for host in plan.config.hosts if host.name in stay]
    rest = build_plan(plan.config.model_copy(update={"hosts": hosts}), context.cluster_file)
    context.found = without(found, gone, stay)
    require_allowed(rest, context.found.findings, context.found.unreachable)
    context.plan = with_unplanned(rest, context.found.findings)


def compare_hosts(context: RemoveContext, step: StepReporter) -> None:
    """See what the hosts that stay have to learn."""
    context.run.record.keep_inventory(context.inventory_folder)
    found = compare(context.plan, context.inventory.digests, context.found)
    context.todo = of_departure(found)
    for line in [*lines_of(context.leaving), *todo_text.roles(context.todo)]:
        step.note(line)


def ask_user(context: RemoveContext, _step: StepReporter) -> None:
    """Show what is to do, and let the user stop it.

    Raises:
        KeyboardInterrupt: The user does not want it.
    """
    if context.confirm and not context.nothing_to_do:
        context.confirm(context)


def reset(context: RemoveContext, step: StepReporter) -> None:  # noqa: ARG001
    """Remove from the hosts that left what k8sbootstrap put there, where they answer.

    Raises:
        HostError: One could not be reset. The cluster works without it.
    """
    run = context.run
    hosts = tuple(each.host for each in context.departures if each.installed)
    inventory = run.record.directory / "reset"
    write_inventory(build_connections(replace(context.plan, hosts=hosts)), inventory)
    run.playbook(playbook_path("reset.yml"), hosts, inventory)


def forget(context: RemoveContext, step: StepReporter) -> None:
    """Remove from the state the certificates and keys of the hosts that left, and SSH keys of dead ones."""
    for each in context.departures:
        name = each.host.name
        folder = context.state.pki / "hosts" / name
        if folder.exists():
            shutil.rmtree(folder)
            step.note(f"{name}: its certificates and keys were removed from {folder.parent}")
        if context.dead:
            KnownHosts(context.state.known_hosts).forget(endpoint.of_host(each.host.ssh))
    past_hosts.forget(context.state, [each.host.name for each in context.departures])


BEFORE: tuple[Step[RemoveContext], ...] = (
    Step("look", "Look at hosts", look),
    Step("authorities", "Certificate authorities", take_authorities),
    *PREPARE,
    Step("compare", "Compare with cluster.yaml", compare_hosts),
    Step("confirm", "", ask_user),
)
"""Nothing on a host changes before ``confirm``."""


def of_host(each: Departure) -> Iterator[Step[RemoveContext]]:
    """What is done for one host, while all others work on."""
    name = each.host.name
    alive = each.installed
    if each.is_node and alive:
        yield Step("drain", f"Drain {name}", drain(each))
    if alive and each.host.is_node:
        yield Step("stop", f"Stop services of {name}", stop_services(each))
    if each.is_member:
        yield Step("etcd", f"Take {name} out of etcd", leave_etcd(each))
    if alive and each.host.is_etcd:
        yield Step("stop_etcd", f"Stop etcd of {name}", stop_etcd(each))
    if each.host.is_node:
        yield Step("node", f"Delete node {name}", delete_node(each))


AFTER: tuple[Step[RemoveContext], ...] = (
    Step("remember", "", remember_hosts),
    Step("install", "", install, needed=is_to_do),
    Step("reset", "", reset, needed=lambda context: any(each.installed for each in context.departures)),
    Step("forget", "State directory", forget),
    Step("verify", "Verify", verify, needed=lambda context: not context.nothing_to_do),
)
"""The hosts that stay learn who they are; what has left is reset once nothing uses it any more."""


def run_remove(
    plan: ClusterPlan,
    cluster_file: Path,
    names: Sequence[str],
    options: RunOptions,
    reporter: Reporter,
    *,
    dead: bool,
    confirm: Confirm | None,
) -> tuple[Summary, RemoveContext]:
    """Take hosts out of a running cluster, one after another.

    Killed at any moment and run again with the same names, it goes on.

    Args:
        plan: The cluster, with these hosts.
        cluster_file: cluster.yaml; the state directory is beside it.
        names: The hosts, each once.
        options: About host keys and certificate authorities.
        reporter: Shows what happens.
        dead: The hosts don't answer, and never will.
        confirm: Shows what is to do; None asks nobody.

    Returns:
        How it went, and what was found and done.

    Raises:
        LockedError: Another command is changing this cluster.
        PreflightError: They must not be taken out; nothing was changed.
        HostError: A host failed or could not be reached.
        HookError: A hook failed that must not.
        VerifyError: They are taken out, but the cluster does not work.
        InterruptedRunError: The user stopped it.
        K8sBootstrapError: Anything else that a user can fix.
    """
    gone = names if dead else ()
    with changing(
        RemoveContext, "remove", plan, cluster_file, reporter, options=options, dead=gone
    ) as context:
        context.names, context.dead, context.confirm = names, dead, confirm
        take(BEFORE, context, context.run.step)
        for each in context.leaving:
            take(of_host(each), context, context.run.step)
        take(AFTER, context, context.run.step)
    return context.run.result, context


def lines_of(departures: Sequence[Departure]) -> list[str]:
    """What becomes of each host, and of etcd."""
    lines = []
    for each in departures:
        lines.append(f"{each.host.name}: {', '.join(_of(each))}")
        if each.is_member:
            lines.append(leaving(each.host.name, each.before, each.after))
    return lines


def _of(each: Departure) -> Iterator[str]:
    alive = each.installed
    if each.is_node and alive:
        yield "its pods move to other nodes"
    elif each.is_node:
        yield "its pods are deleted by force"
    if alive and each.host.is_master:
        yield "its control plane stops"
    if each.is_member:
        yield "its member leaves etcd"
    if each.is_node:
        yield "its Node is deleted"
    yield "all that was installed there is removed" if alive else "the host itself is not touched"

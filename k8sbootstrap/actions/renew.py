"""``certs renew``: makes certificates again and brings them to hosts, as the list of its steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from k8sbootstrap.actions.changing import changing
from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.install import install, is_to_do, verify
from k8sbootstrap.actions.observe import take_authorities
from k8sbootstrap.actions.prepare import fetch_files, issue_certificates, make_inventory
from k8sbootstrap.actions.step import Step, StepReporter, take
from k8sbootstrap.actions.upgrade import require_same_release
from k8sbootstrap.checks.refusals import require_allowed
from k8sbootstrap.errors import HostError, PreflightError
from k8sbootstrap.formats.text import count
from k8sbootstrap.pki import renewal
from k8sbootstrap.pki.choice import Choice, Outlook, outlook
from k8sbootstrap.plan.build import build_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.board import HostCount
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import Summary
from k8sbootstrap.survey import renewal as on_hosts
from k8sbootstrap.survey import todo_text
from k8sbootstrap.survey.nodes import with_unplanned
from k8sbootstrap.survey.todo import Survey, compare, look_at_hosts

Confirm = Callable[["RenewContext"], None]
"""Shows what is to do and lets the user stop it with KeyboardInterrupt."""


@dataclass(kw_only=True)
class RenewContext(RunContext):
    """What the steps share. ``plan`` is that of all hosts at first, then that of those in the cluster."""

    confirm: Confirm | None = None
    """None asks nobody."""
    goes_on: bool = False
    """Whether a renewal that began before did not come to its end."""
    outlook: Outlook = field(default_factory=lambda: Outlook((), {}, ()))
    """What is made again."""
    pending: Survey = field(default_factory=lambda: Survey({}))
    """What roles that copy certificates have to do anyway."""

    @property
    def nothing_to_do(self) -> bool:
        """Whether no certificate is made again, and no earlier renewal has to be ended."""
        return not self.outlook.due and not self.goes_on

    @property
    def lost(self) -> Mapping[str, Exception]:
        """Chosen hosts that did not answer, and why."""
        hosts = self.choice.hosts
        return {name: why for name, why in self.found.unreachable.items() if hosts is None or name in hosts}


def look(context: RenewContext, _step: StepReporter) -> None:
    """See what hosts are like, and leave those out that are not in the cluster yet.

    Raises:
        PreflightError: The cluster is not there, or something is planned which would break it.
        HostError: None of the chosen hosts answers.
    """
    plan, chosen = context.plan, context.choice.hosts
    require_same_release(context)
    found = look_at_hosts(plan, context.pool)
    bare = [name for name, each in found.findings.items() if each.cluster == ""]
    if chosen is not None and chosen & set(bare):
        raise PreflightError(
            f"{', '.join(sorted(chosen & set(bare)))}: not in the cluster yet. Nothing was changed.",
            hint="k8sbootstrap up installs it, with new certificates.",
        )
    if len(bare) == len(found.findings) > 0:
        raise PreflightError(
            "no host is in the cluster yet. Nothing was changed.", hint="Run k8sbootstrap up first."
        )
    if not any(chosen is None or name in chosen for name in found.findings):
        raise HostError(
            "\n".join(["no host answers. Nothing was changed.", *map(str, found.unreachable.values())]),
            hint="k8sbootstrap status shows which hosts answer.",
        )
    hosts = [host for host in plan.config.hosts if host.name not in bare]
    rest = build_plan(plan.config.model_copy(update={"hosts": hosts}), context.cluster_file)
    context.found = replace(found, findings={n: each for n, each in found.findings.items() if n not in bare})
    require_allowed(rest, context.found.findings, context.found.unreachable)
    context.plan = with_unplanned(rest, context.found.findings)


def choose(context: RenewContext, step: StepReporter) -> None:
    """See which certificates are made again, and what else the roles that copy them would do on hosts.

    Raises:
        StateError: The certificates in the state directory can't be used.
    """
    hosts = context.choice.hosts
    begun = renewal.begun_before(context.state, hosts)
    context.goes_on = begun is not None
    context.choice = replace(context.choice, begun=begun)
    ends = on_hosts.ends(context.found.findings, hosts)
    context.outlook = outlook(context.plan, context.state, context.choice, ends)
    found = compare(context.plan, context.inventory.digests, context.found)
    context.pending = on_hosts.of_renewal(found, context.found.findings, hosts)
    if begun:
        step.note(f"goes on with the renewal that began at {begun:%Y-%m-%d %H:%M:%S} UTC")
    for line in on_hosts.lines(context.plan, context.outlook, context.lost) if context.outlook.due else ():
        step.note(line)


def ask_user(context: RenewContext, _step: StepReporter) -> None:
    """Show what is to do, and let the user stop it.

    Raises:
        KeyboardInterrupt: The user does not want it.
    """
    if context.confirm:
        context.confirm(context)


def issue(context: RenewContext, step: StepReporter) -> None:
    """Make the certificates again in the state directory, and the inventory with them.

    Raises:
        StateError: They can't be made or written.
    """
    begun = renewal.begin(context.state, context.choice.hosts)
    context.choice = replace(context.choice, begun=begun)
    issue_certificates(context, step)
    make_inventory(context, step)


def compare_hosts(context: RenewContext, _step: StepReporter) -> None:
    """Have the roles run that bring certificates to hosts."""
    context.run.record.keep_inventory(context.inventory_folder)
    todo = on_hosts.with_all(context.pending, context.found.findings, context.choice.hosts)
    renew = tuple(entry.name for entry in context.outlook.due)
    context.todo = replace(todo, renew=renew, one_by_one=on_hosts.restarting_roles(context.plan))
    for host in context.plan.hosts:
        context.run.board.hosts.setdefault(host.name, HostCount())


def end(context: RenewContext, _step: StepReporter) -> None:
    """Note that the renewal has come to its end on all hosts that answer."""
    renewal.end(context.state)


def require_all(context: RenewContext, _step: StepReporter) -> None:
    """Report hosts that were left out because they did not answer.

    Raises:
        HostError: Some were.
    """
    if context.lost and not context.nothing_to_do:
        raise HostError(
            "\n".join(
                [
                    f"{count(len(context.lost), 'host')} did not get new certificates; the others have them",
                    *(f"not reached: {why}" for why in context.lost.values()),
                ]
            ),
            hint="Once they answer, run the same command again, with their names.",
        )


def _wanted(context: RenewContext) -> bool:
    return not context.nothing_to_do


RENEW: tuple[Step[RenewContext], ...] = (
    Step("look", "Look at hosts", look),
    Step("authorities", "Certificate authorities", take_authorities),
    Step("artifacts", "Files to install", fetch_files),
    Step("inventory", "Inventory", make_inventory),
    Step("choose", "Certificates", choose),
    Step("confirm", "", ask_user, needed=_wanted),
    Step("pki", "New certificates", issue, needed=_wanted),
    Step("compare", "Compare with hosts", compare_hosts, needed=_wanted),
    Step("install", "", install, needed=is_to_do),
    Step("verify", "Verify", verify, needed=is_to_do),
    Step("end", "", end, needed=_wanted),
    Step("require_all", "", require_all),
)
"""Nothing changes before ``confirm``, on hosts or in the state directory's PKI."""


def run_renew(
    plan: ClusterPlan,
    cluster_file: Path,
    choice: Choice,
    options: RunOptions,
    reporter: Reporter,
    *,
    confirm: Confirm | None,
) -> tuple[Summary, RenewContext]:
    """Make certificates again and bring them to hosts.

    Killed at any moment and run again for the same hosts, it goes on.

    Args:
        plan: The cluster.
        cluster_file: cluster.yaml; the state directory is beside it.
        choice: Which certificates are made again.
        options: About host keys and certificate authorities.
        reporter: Shows what happens.
        confirm: Shows what is to do; None asks nobody.

    Returns:
        How it went, and what was found and done.

    Raises:
        LockedError: Another command is changing this cluster.
        PreflightError: It can't be done; nothing was changed.
        HostError: A host failed or could not be reached; the others have their certificates.
        VerifyError: All is done, but the cluster does not work.
        InterruptedRunError: The user stopped it.
        K8sBootstrapError: Anything else that a user can fix.
    """
    with changing(RenewContext, "certs renew", plan, cluster_file, reporter, options=options) as context:
        context.choice, context.confirm = choice, confirm
        take(RENEW, context, context.run.step)
    return context.run.result, context


def lines_of(context: RenewContext) -> list[str]:
    """What is to do, for the user to decide about."""
    said = on_hosts.lines(context.plan, context.outlook, context.lost) if context.outlook.due else []
    others = todo_text.roles(replace(context.pending, unreachable={}))
    if others:
        said.append("these have changes to apply anyway, which are applied as well:")
        said += [f"  {line}" for line in others]
    number = count(len(context.outlook.due), "certificate")
    return [number, *said, *(f"not reached: {why}" for why in context.lost.values())]

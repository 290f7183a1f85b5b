"""``adopt``: reads the state of a running cluster back from its masters, as the list of its steps."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.install import remember_hosts
from k8sbootstrap.actions.observe import check_host_keys, lacks_authorities, take_authorities
from k8sbootstrap.actions.prepare import issue_certificates
from k8sbootstrap.actions.step import Step, StepReporter, take
from k8sbootstrap.actions.upgrade import other_releases
from k8sbootstrap.checks.refusals import refusals
from k8sbootstrap.errors import HostError, PreflightError, StateError
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.pki.rotation import under_way
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.session import running
from k8sbootstrap.state import State
from k8sbootstrap.survey import todo_text
from k8sbootstrap.survey.authorities import ask_masters, differences
from k8sbootstrap.survey.nodes import with_unplanned
from k8sbootstrap.survey.todo import look_at_hosts
from k8sbootstrap.survey.upgrade.observe import look_at

_NOTHING = "Nothing was changed."


@dataclass(kw_only=True)
class AdoptContext(RunContext):
    """What the steps share."""

    was_there: bool = False
    """Whether the state directory had the cluster's state before."""


def look(context: AdoptContext, step: StepReporter) -> None:
    """See what there is of the cluster.

    Raises:
        HostError: No master of it answers.
        PreflightError: The masters belong to no cluster, or to others.
    """
    context.found = look_at_hosts(context.plan, context.pool)
    _require_master(context)
    context.plan = with_unplanned(context.plan, context.found.findings)
    context.running = look_at(context.plan, context.pool)
    for line in _lines(context):
        step.note(line)


def take_or_compare(context: AdoptContext, step: StepReporter) -> None:
    """Take the CAs and keys that masters have, if that is allowed. If some are here, only compare them.

    Raises:
        StateError: Masters have different ones, or others than this machine, or it was not allowed.
        PreflightError: No master has any.
    """
    if lacks_authorities(context):
        take_authorities(context, step)
        if lacks_authorities(context):
            raise PreflightError(
                f"no master that answers has certificate authorities yet. {_NOTHING}",
                hint="If the first k8sbootstrap up was stopped, run it again.",
            )
        return
    masters = ask_masters(context.plan, context.pool)
    ours = {host: found for host, found in masters.found.items() if host in context.members}
    if other := differences(ours, context.state):
        raise StateError(
            "\n".join(
                ["this machine has other certificate authorities or keys than masters:", *other, _NOTHING]
            ),
            hint=f"If they were replaced from another machine, move {context.state.directory} away and run "
            "the same command again.",
        )
    step.note(f"{context.state.pki} has the same as {', '.join(ours)}")


ADOPT: tuple[Step[AdoptContext], ...] = (
    Step("host_keys", "Host keys", check_host_keys),
    Step("look", "Look at hosts", look),
    Step("authorities", "Certificate authorities", take_or_compare),
    Step("pki", "Certificates", issue_certificates, needed=lambda context: not context.was_there),
    Step("remember", "", remember_hosts, needed=lambda context: not context.was_there),
)
"""Nothing changes on any host. Of the state directory only host keys change before ``authorities``."""


def run_adopt(plan: ClusterPlan, cluster_file: Path, options: RunOptions, reporter: Reporter) -> AdoptContext:
    """Give this machine the state of a running cluster.

    Args:
        plan: The cluster.
        cluster_file: cluster.yaml; the state directory is beside it.
        options: About host keys and certificate authorities.
        reporter: Shows what happens.

    Returns:
        What was found and done.

    Raises:
        LockedError: Another command is changing this cluster from here.
        HostError: No master answers.
        PreflightError: There is no such cluster.
        StateError: Masters have different CAs or keys, or others than this machine, or it was not allowed.
        InterruptedRunError: The user stopped it.
    """
    state = State.beside(cluster_file, plan.config.name)
    there = (state.pki / "ca.crt").exists() and state.kubeconfig.exists()
    with running(state, "k8sbootstrap adopt", reporter) as run, Pool() as pool:
        context = AdoptContext.begin(plan, cluster_file, run, pool, options)
        context.was_there = there
        take(ADOPT, context, run.step)
    return context


def _require_master(context: AdoptContext) -> None:
    plan, found = context.plan, context.found
    if any(host.name in context.members for host in plan.masters):
        return
    lost = [str(found.unreachable[host.name]) for host in plan.masters if host.name in found.unreachable]
    if lost:
        raise HostError(
            "\n".join([f"no master of the cluster {plan.config.name} answers. {_NOTHING}", *lost]),
            hint="Bring one of them back. If all are lost: k8sbootstrap up --restore, with a backup.",
        )
    raise PreflightError(
        "\n".join(
            [
                f"no master belongs to the cluster {plan.config.name}. {_NOTHING}",
                *(
                    f"{host.name} belongs to {found.findings[host.name].cluster or 'no cluster'}"
                    for host in plan.masters
                ),
            ]
        ),
        hint="Compare the name in cluster.yaml. If it is a new cluster, run k8sbootstrap up.",
    )


def _lines(context: AdoptContext) -> Iterator[str]:
    """What there is, for the user to compare."""
    plan, findings, members = context.plan, context.found.findings, context.members
    yield f"hosts in the cluster: {', '.join(members)}"
    strangers = [host.name for host in plan.hosts if host.name in findings and host.name not in members]
    if strangers:
        yield f"not in the cluster: {', '.join(strangers)}"
    yield from (f"not reached: {error}" for error in context.found.unreachable.values())
    yield from (todo_text.unplanned(node.name, str(node.address)) for node in plan.unplanned_nodes)
    assert context.running is not None  # noqa: S101 - it was just looked at
    runs = sorted({each for hosts in context.running.versions().values() for each in hosts.values()})
    yield f"Kubernetes {' and '.join(runs) or 'unknown: no API server answers'}"
    if other_releases(context, context.running):
        yield f"cluster.yaml says kubernetes.version: {plan.release.version}"
    if under_way(context.state):
        yield "a rotation of CAs is under way: k8sbootstrap certs rotate-ca continues it"
    yield from (f"plan and up will refuse: {each.text}" for each in refusals(plan, findings))

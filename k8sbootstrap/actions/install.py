"""Steps that change hosts, ask the user before, and see afterwards that the cluster works."""

from k8sbootstrap.actions.context import RunContext
from k8sbootstrap.actions.presend import sent_ahead
from k8sbootstrap.actions.step import StepReporter
from k8sbootstrap.checks.cluster.run import conclude, run_verify
from k8sbootstrap.checks.cluster.shared import NO_NETWORK
from k8sbootstrap.checks.formats import VERIFY, as_json
from k8sbootstrap.checks.framework import CheckResult, Status
from k8sbootstrap.config.past_hosts import PastHost, remember
from k8sbootstrap.errors import HostError
from k8sbootstrap.run.playbook import write_playbook
from k8sbootstrap.survey import todo_text
from k8sbootstrap.survey.todo import Survey


def is_to_do(context: RunContext) -> bool:
    """Whether something is to do on a host that answered."""
    return not context.todo.settled


def ask_user(context: RunContext, _step: StepReporter) -> None:
    """Show what is to do, and let the user stop it.

    Raises:
        KeyboardInterrupt: The user does not want it.
    """
    if context.options.confirm:
        context.options.confirm(context.todo)


def remember_hosts(context: RunContext, _step: StepReporter) -> None:
    """Remember the hosts that are in the cluster, or are going to be: cluster.yaml may lose them later.

    Raises:
        StateError: The state directory can't be written.
    """
    plan, there = context.plan, context.members
    configs = {host.name: host for host in plan.config.hosts}
    remember(
        context.state,
        [
            PastHost(configs[host.name], host.is_etcd)
            for host in plan.hosts
            if host.name in there or host.name in context.todo.work
        ],
    )


def install(context: RunContext, _step: StepReporter) -> None:
    """Run the playbook of what is to do. Its phases are reported, not the step.

    Raises:
        HostError: A host failed; the others went on as far as they could.
        HookError: A hook failed that must not.
    """
    install_part(context, context.todo, "playbooks", is_part=False)


def install_part(context: RunContext, todo: Survey, name: str, *, is_part: bool = True) -> None:
    """Run the playbook of a part of what is to do.

    Args:
        context: The run.
        todo: The part.
        name: Of the folder in the run's record that gets the playbook.
        is_part: More of the same phases follows.

    Raises:
        HostError: A host failed; the others went on as far as they could.
        HookError: A hook failed that must not.
    """
    run = context.run
    with sent_ahead(context.plan, todo, context.inventory) as incoming:
        playbook = write_playbook(todo, run.record.directory / name, incoming)
        run.playbook(playbook, context.plan.hosts, context.inventory_folder, is_part=is_part)


def verify(context: RunContext, step: StepReporter) -> None:
    """See that the cluster works. The record keeps what was seen.

    Raises:
        VerifyError: It does not.
    """

    def show(result: CheckResult) -> None:
        text = f"{result.check} ({result.host})"
        step.status(text)
        if result.status is Status.FAILED or result.message.endswith(NO_NETWORK):
            step.note(f"{text}: {result.message}")

    down = tuple(context.todo.unreachable)
    report = run_verify(context.plan, context.pool, short=True, allow_down=down, on_result=show)
    context.run.record.keep("verify.json", as_json(report, VERIFY))
    conclude(report)


def require_all(context: RunContext, _step: StepReporter) -> None:
    """Report hosts that were left out because they did not answer.

    Raises:
        HostError: Some were.
    """
    todo, hosts = context.todo, context.plan.hosts
    if todo.unreachable:
        count = len(todo.unreachable)
        rest = "; the other hosts are now as cluster.yaml says" if count < len(hosts) else ""
        lines = [f"{count} of {len(hosts)} hosts could not be reached{rest}", *todo_text.lost(todo)]
        raise HostError(
            "\n".join(lines),
            hint="Bring them back or remove them from cluster.yaml, then run the same command again.",
        )

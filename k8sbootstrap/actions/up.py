"""``up``: from bare hosts to a working cluster, as the list of steps it is."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.actions.prepare import prepare
from k8sbootstrap.actions.presend import sent_ahead
from k8sbootstrap.actions.upgrade import Upgrading
from k8sbootstrap.checks.cluster.run import conclude, run_verify
from k8sbootstrap.checks.cluster.shared import NO_NETWORK
from k8sbootstrap.checks.formats import VERIFY, as_json
from k8sbootstrap.checks.framework import CheckResult, Status, require
from k8sbootstrap.checks.hosts import CHECK_NAMES
from k8sbootstrap.checks.hosts.run import run_preflight
from k8sbootstrap.checks.refusals import require_allowed
from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.host_keys import Ask, ensure_known
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.inventory.model import Inventory
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.board import HostCount
from k8sbootstrap.run.hooks import hooked
from k8sbootstrap.run.playbook import write_playbook
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import Summary
from k8sbootstrap.run.session import Run, running
from k8sbootstrap.state import State
from k8sbootstrap.survey import todo_text
from k8sbootstrap.survey.authorities import Allow, recover_pki
from k8sbootstrap.survey.nodes import with_unplanned
from k8sbootstrap.survey.todo import HostFindings, Survey, compare, look_at_hosts


@dataclass(frozen=True)
class UpOptions:
    """What the user chose for one ``up``."""

    accept_new_host_keys: bool = False
    ask: Ask | None = None
    """Asks about unknown host keys; None refuses them."""
    allow_authorities: Allow | None = None
    """Decides whether certificate authorities are taken over from masters; None takes none."""
    ignore_preflight: Collection[str] = ()
    """Names of checks, of preflight's and of upgrades', that may fail."""
    limit: Collection[str] = ()
    """Names of the only hosts to change; all, if empty."""
    confirm: Callable[[Survey], None] | None = None
    """Shows what is to do and lets the user stop it with KeyboardInterrupt; None asks nobody."""


def run_up(plan: ClusterPlan, cluster_file: Path, options: UpOptions, reporter: Reporter) -> Summary:
    """Bring the cluster to the state that ``plan`` describes and see that it works.

    Hosts are looked at first, and only roles that have something to do are run, on the hosts where they have.
    Running it again goes on from wherever the last run ended, and changes nothing where all is right.

    Args:
        plan: The desired state.
        cluster_file: cluster.yaml; the state directory is beside it.
        options: What the user chose.
        reporter: Shows what happens.

    Returns:
        How it went, host by host.

    Raises:
        LockedError: Another command is changing this cluster.
        PreflightError: A host is not fit, or what can't be changed would be; nothing was changed.
        HostError: A host failed or could not be reached; the others went on as far as they could.
        HookError: A hook failed that must not.
        VerifyError: All is installed, but the cluster does not work.
        InterruptedRunError: The user stopped it.
        K8sBootstrapError: Anything else that a user can fix.
    """
    state = State.beside(cluster_file, plan.config.name)
    with (
        running(state, "k8sbootstrap up", reporter) as run,
        hooked(run, "up", plan, cluster_file),
        Pool() as pool,
    ):
        host_keys(run, plan, pool, accept_new=options.accept_new_host_keys, ask=options.ask)
        seen = look(run, plan, pool)
        plan = with_unplanned(plan, seen.findings)
        fresh = not state.inventory.exists()
        if fresh:  # bad hosts are told of before files are fetched for them
            _preflight(run, plan, pool, options)
        if fresh or not (state.pki / "ca.crt").exists():
            authorities(run, plan, pool, state, options.allow_authorities)
        upgrading = Upgrading(run, plan, pool, options.ignore_preflight, options.limit)
        upgrading.refuse_early(state.inventory)
        inventory = prepare(plan, cluster_file, state, state.inventory, run.step)
        run.record.keep_inventory(state.inventory)
        todo = upgrading.found_in(to_do(run, plan, seen, inventory, options.limit))
        if not todo.settled:
            if not fresh:
                _preflight(run, plan, pool, options, without=todo.unreachable if todo.exists else ())
                authorities(run, plan, pool, state, options.allow_authorities)
            if options.confirm:
                options.confirm(todo)
            upgrading.snapshot(todo)
            with sent_ahead(plan, todo, inventory) as incoming:
                playbook = write_playbook(todo, run.record.directory / "playbooks", incoming)
                run.playbook(playbook, plan.hosts, state.inventory)
            _verify(run, plan, pool, todo)
        _require_all(todo, plan)
    return run.result


def host_keys(run: Run, plan: ClusterPlan, pool: Pool, *, accept_new: bool, ask: Ask | None) -> None:
    """See that the SSH keys of all hosts are known."""
    with run.step("host_keys", "Host keys"):
        ensure_known(pool, [host.ssh for host in plan.hosts], accept_new=accept_new, ask=ask)


def authorities(run: Run, plan: ClusterPlan, pool: Pool, state: State, allow: Allow | None) -> None:
    """See that masters run with the state's CAs; where it has none, take theirs if that is allowed."""
    with run.step("authorities", "Certificate authorities") as step:
        offer = recover_pki(plan, pool, state, allow)
        if offer:
            step.note(f"the state directory had none, so they were copied from {offer.hosts[0]}")
            for line in offer.lines():
                step.note(line)


def look(run: Run, plan: ClusterPlan, pool: Pool) -> HostFindings:
    """See what hosts are like, and that nothing is planned which would break what is there.

    Raises:
        PreflightError: Something is.
    """
    with run.step("look", "Look at hosts"):
        seen = look_at_hosts(plan, pool)
        require_allowed(plan, seen.findings, seen.unreachable)
    return seen


def to_do(
    run: Run, plan: ClusterPlan, seen: HostFindings, inventory: Inventory, limit: Collection[str] = ()
) -> Survey:
    """See what is to do on which hosts.

    Args:
        run: The run.
        plan: The cluster.
        seen: What hosts are like.
        inventory: The inventory, with the digests of what should be there.
        limit: Names of the only hosts to change; all, if empty.
    """
    with run.step("compare", "Compare with cluster.yaml") as step:
        found = compare(plan, inventory.digests, seen)
        for host in plan.hosts:
            run.board.hosts.setdefault(host.name, HostCount())
        todo = found.limited(limit) if limit else found
        for line in todo_text.summary(todo):
            step.note(line)
        if len(todo.work) < len(found.work):
            left = [host for host in found.work if host not in todo.work]
            step.note(f"left out by --limit: {', '.join(left)}")
    return todo


def _preflight(
    run: Run, plan: ClusterPlan, pool: Pool, options: UpOptions, without: Collection[str] = ()
) -> None:
    with run.step("preflight", "Preflight") as step:
        ignore = tuple(name for name in options.ignore_preflight if name in CHECK_NAMES)
        report = run_preflight(plan, pool, ignore=ignore, without=without)
        for result in report.having(Status.WARNING, Status.IGNORED):
            step.note(f"{result.host}: {result.check}: {result.status}: {result.message}")
        require(report)


def _verify(run: Run, plan: ClusterPlan, pool: Pool, todo: Survey) -> None:
    with run.step("verify", "Verify") as step:

        def show(result: CheckResult) -> None:
            text = f"{result.check} ({result.host})"
            step.status(text)
            if result.status is Status.FAILED or result.message.endswith(NO_NETWORK):
                step.note(f"{text}: {result.message}")

        report = run_verify(plan, pool, short=True, allow_down=tuple(todo.unreachable), on_result=show)
        run.record.keep("verify.json", as_json(report, VERIFY))
        conclude(report)


def _require_all(todo: Survey, plan: ClusterPlan) -> None:
    if todo.unreachable:
        count = len(todo.unreachable)
        rest = "; the other hosts are now as cluster.yaml says" if count < len(plan.hosts) else ""
        raise HostError(
            "\n".join(
                [f"{count} of {len(plan.hosts)} hosts could not be reached{rest}", *todo_text.lost(todo)]
            ),
            hint="Bring them back or remove them from cluster.yaml, then run the same command again.",
        )

"""Where every command begins that changes hosts: lock, record, hooks, connections, and the lease of hosts."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar, cast, get_args

from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.lease import leased
from k8sbootstrap.actions.observe import check_host_keys
from k8sbootstrap.config.models.base import HookPoint
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import ClusterPlan, SSHTarget
from k8sbootstrap.run import lock
from k8sbootstrap.run.hooks import hooked
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.session import running, signals_interrupt
from k8sbootstrap.state import State

C = TypeVar("C", bound=RunContext)


@contextmanager
def changing(
    kind: type[C],
    command: str,
    plan: ClusterPlan,
    cluster_file: Path,
    reporter: Reporter,
    *,
    options: RunOptions,
    dead: Collection[str] = (),
) -> Iterator[C]:
    """A run of a command that may change hosts, for the ``with`` block; no other one changes any meanwhile.

    Args:
        kind: Of the context.
        command: Its name, such as ``up``; hooks of that name run around it.
        plan: The cluster.
        cluster_file: cluster.yaml; the state directory is beside it.
        reporter: Shows what happens.
        options: What the user chose.
        dead: Names of hosts that are dead, and may have become other machines.

    Yields:
        The context of a run that has done nothing yet but to get to know the hosts.

    Raises:
        LockedError: Another command is changing this cluster.
        HostKeyError: The SSH key of a host is not known, or has changed.
        HookError: A hook failed that must not.
        InterruptedRunError: The user or the system stopped the run.
    """
    state = State.beside(cluster_file, plan.config.name)
    title = f"k8sbootstrap {command}"
    hook = command.replace(" ", "_").replace("-", "_")
    with (
        running(state, title, reporter) as run,
        hooked(run, cast("HookPoint", hook), plan, cluster_file)
        if hook in get_args(HookPoint)
        else nullcontext(),
        Pool() as pool,
    ):
        context = kind.begin(plan, cluster_file, run, pool, options)
        with run.step("host_keys", "Host keys") as step:
            check_host_keys(context, step, dead)
        with leased(pool, _deciding(plan, dead), title):
            yield context


@contextmanager
def changing_without_record(command: str, plan: ClusterPlan, cluster_file: Path) -> Iterator[Pool]:
    """As ``changing``, for a command that is one step: it has no record and no hooks.

    Yields:
        Connections to the hosts.

    Raises:
        LockedError: Another command is changing this cluster.
        KeyboardInterrupt: The user or the system stopped the command.
    """
    state = State.beside(cluster_file, plan.config.name)
    title = f"k8sbootstrap {command}"
    state.create()
    with (
        signals_interrupt(),
        lock.hold(state.lock, title),
        Pool() as pool,
        leased(pool, _deciding(plan), title),
    ):
        yield pool


def _deciding(plan: ClusterPlan, dead: Collection[str] = ()) -> list[SSHTarget]:
    """The hosts that decide for the whole cluster: every command that changes it has to do with them."""
    return [host.ssh for host in plan.hosts if (host.is_master or host.is_etcd) and host.name not in dead]

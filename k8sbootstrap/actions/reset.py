"""``reset``: removes from the hosts exactly what their records list."""

from pathlib import Path

from k8sbootstrap.actions.backup import restoration
from k8sbootstrap.actions.changing import changing
from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.config import past_hosts
from k8sbootstrap.inventory.build import build_connections
from k8sbootstrap.inventory.write import write_inventory
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.ansible import playbook_path
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import Summary


def run_reset(plan: ClusterPlan, cluster_file: Path, reporter: Reporter) -> Summary:
    """Remove from every host of the cluster what k8sbootstrap put there. The state directory stays.

    Args:
        plan: The cluster; only hosts that belong to it by name are touched.
        cluster_file: cluster.yaml; the state directory is beside it.
        reporter: Shows what happens.

    Returns:
        How it went, host by host.

    Raises:
        LockedError: Another command is changing this cluster.
        HostKeyError: The SSH key of a host is not known, or has changed; nothing was reset.
        HostError: A host failed or could not be reached; the others were reset.
        HookError: A hook failed that must not.
        InterruptedRunError: The user stopped it; running it again goes on.
    """
    with changing(RunContext, "reset", plan, cluster_file, reporter, options=RunOptions()) as context:
        run, state = context.run, context.state
        write_inventory(build_connections(plan), state.inventory)
        run.record.keep_inventory(state.inventory)
        run.playbook(playbook_path("reset.yml"), plan.hosts, state.inventory)
        past_hosts.forget(state, [host.name for host in plan.hosts])
        restoration.forget(state)  # one that has not ended would begin again with the next up
    return run.result

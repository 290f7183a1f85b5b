"""``reset``: removes from the hosts exactly what their records list."""

from pathlib import Path

from k8sbootstrap.inventory.build import build_connections
from k8sbootstrap.inventory.write import write_inventory
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.ansible import playbook_path
from k8sbootstrap.run.hooks import hooked
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import Summary
from k8sbootstrap.run.session import running
from k8sbootstrap.state import State


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
        HostError: A host failed or could not be reached; the others were reset.
        HookError: A hook failed that must not.
        InterruptedRunError: The user stopped it; running it again goes on.
    """
    state = State.beside(cluster_file, plan.config.name)
    with running(state, "k8sbootstrap reset", reporter) as run, hooked(run, "reset", plan, cluster_file):
        write_inventory(build_connections(plan), state.inventory)
        run.record.keep_inventory(state.inventory)
        run.playbook(playbook_path("reset.yml"), plan.hosts, state.inventory)
    return run.result

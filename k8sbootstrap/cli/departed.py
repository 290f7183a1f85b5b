"""``k8sbootstrap up --prune``: removes the hosts that were taken out of cluster.yaml."""

from pathlib import Path

from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.remove import run_remove
from k8sbootstrap.cli.remove import confirmer, next_steps
from k8sbootstrap.formats.text import duration
from k8sbootstrap.plan.departed import departed, with_departed
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.progress import Reporter


def remove_departed(
    plan: ClusterPlan, cluster_file: Path, options: RunOptions, reporter: Reporter, *, ask: bool
) -> None:
    """Remove them as ``k8sbootstrap remove`` does, if there are any.

    Args:
        plan: The cluster as cluster.yaml says.
        cluster_file: cluster.yaml; the state directory beside it knows the hosts.
        options: About host keys and certificate authorities.
        reporter: Shows what happens.
        ask: Show what is to do, and let the user stop it.

    Raises:
        K8sBootstrapError: As for ``run_remove``.
    """
    names = tuple(departed(plan, cluster_file))
    if not names:
        return
    whole = with_departed(plan, cluster_file, names)
    confirm = confirmer(reporter) if ask else None
    summary, context = run_remove(whole, cluster_file, names, options, reporter, dead=False, confirm=confirm)
    print_text = reporter.console.print
    print_text(f"Removed in {duration(summary.seconds)}: {', '.join(names)}.")
    for line in next_steps(whole, context, [host.name for host in plan.hosts]):
        print_text(line, markup=False)

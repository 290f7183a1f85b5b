"""Names of hosts on the command line."""

from collections import Counter
from collections.abc import Sequence

import click

from k8sbootstrap.plan.models import ClusterPlan


def check_names(plan: ClusterPlan, names: Sequence[str], *, unknown: str = "") -> None:
    """See that cluster.yaml has hosts of these names, and that none is given twice.

    Args:
        plan: The cluster.
        names: The names.
        unknown: What to add to the error about one that it has not; may have ``{name}``.

    Raises:
        click.BadParameter: One is wrong.
    """
    known = [host.name for host in plan.hosts]
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        raise click.BadParameter(f"{twice[0]} is given twice", param_hint="NAME")
    for name in names:
        if name not in known:
            raise click.BadParameter(
                f"cluster.yaml has no host {name}; it has {', '.join(known)}" + unknown.format(name=name),
                param_hint="NAME",
            )


def chosen_hosts(plan: ClusterPlan, names: Sequence[str]) -> tuple[str, ...]:
    """The hosts that are named, or all where none is.

    Raises:
        click.BadParameter: A name is wrong.
    """
    check_names(plan, names)
    return tuple(names) or tuple(host.name for host in plan.hosts)

"""What is to do, in a few lines for people."""

from collections.abc import Iterator, Mapping

from k8sbootstrap.formats.text import some
from k8sbootstrap.survey.todo import Survey, Work, change_cause

_CAUSES = {
    "new": "new",
    "configuration": "cluster.yaml or k8sbootstrap changed",
    "drift": "changed on the host",
    "cluster": "changed in the cluster",
    "renewal": "certificates end soon",
    "unknown": "not known",
    "upgrade": "still cordoned by an upgrade",
    "remove": "still cordoned by k8sbootstrap remove",
    "reboot": "still cordoned by k8sbootstrap reboot",
    "stop": "stopped by k8sbootstrap stop",
}
_SHOWN = 3
"""Number of changes of a host that are named; the others are counted."""


def summary(survey: Survey) -> list[str]:
    """The upgrade, one line per host that has something to do, and one per host that did not answer."""
    lines = list(survey.upgrade.lines()) if survey.upgrade else []
    lines += [survey.etcd_growth.line()] if survey.etcd_growth else []
    lines += [f"{host}: {_of_host(roles)}" for host, roles in survey.work.items()]
    return lines + [unplanned(node.name, str(node.address)) for node in survey.unplanned] + lost(survey)


def roles(survey: Survey) -> list[str]:
    """One line per host with its roles that run, and one per host that did not answer."""
    return [f"{host}: {', '.join(roles)}" for host, roles in survey.work.items()] + lost(survey)


def unplanned(name: str, address: str) -> str:
    """A line about a node that cluster.yaml does not name."""
    return (
        f"{name} ({address}) is a node of the cluster, but not in cluster.yaml. It keeps "
        f"working and keeps its routes. To remove it: k8sbootstrap remove {name}, or up --prune"
    )


def lost(survey: Survey) -> list[str]:
    """One line per host that did not answer."""
    return [f"not reached: {error}" for error in survey.unreachable.values()]


def _of_host(roles: Mapping[str, Work]) -> str:
    if all(why.causes == ("new",) for why in roles.values()) and "host" in roles:
        return "everything (a new host)"
    by_reason: dict[str, list[str]] = {}
    for role, why in roles.items():
        by_reason.setdefault(", ".join(_causes(why)), []).append(role)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())


def _causes(why: Work) -> Iterator[str]:
    for cause in why.causes:
        named = [change.name or change.text for change in why.drift if change_cause(change) == cause]
        yield _CAUSES[cause] + (f": {some(named, _SHOWN)}" if named else "")

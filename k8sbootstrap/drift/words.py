"""What is to do, in a few lines for people."""

from collections.abc import Iterator, Mapping

from k8sbootstrap.drift.survey import Survey, Work

_CAUSES = {
    "new": "new",
    "configuration": "cluster.yaml or k8sbootstrap changed",
    "drift": "changed on the host",
    "upgrade": "an upgrade has not given the node back",
}
_SHOWN = 3
"""Changes of a host that are named before the rest is only counted."""


def summary(survey: Survey) -> list[str]:
    """The upgrade, one line per host that has something to do, and one per host that did not answer."""
    lines = list(survey.upgrade.lines()) if survey.upgrade else []
    lines += [f"{host}: {_of_host(roles)}" for host, roles in survey.work.items()]
    return lines + lost(survey)


def lost(survey: Survey) -> list[str]:
    """One line per host that did not answer."""
    return [f"not reached: {error}" for error in survey.unreachable.values()]


def _of_host(roles: Mapping[str, Work]) -> str:
    if all(why.causes == ("new",) for why in roles.values()) and "host" in roles:
        return "everything, nothing is there yet"
    by_reason: dict[str, list[str]] = {}
    for role, why in roles.items():
        by_reason.setdefault(", ".join(_causes(why)), []).append(role)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())


def _causes(why: Work) -> Iterator[str]:
    for cause in why.causes:
        named = [change.name or change.text for change in why.drift] if cause == "drift" else []
        rest = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        yield _CAUSES[cause] + (f": {', '.join(named[:_SHOWN])}{rest}" if named else "")

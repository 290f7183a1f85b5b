"""What a renewal of certificates does on hosts, and in which order."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from k8sbootstrap.pki import table
from k8sbootstrap.pki.choice import Outlook
from k8sbootstrap.plan.components import COMPONENTS, components_of
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.plan.phases import COPY_CERTIFICATES
from k8sbootstrap.survey.record import HostFinding
from k8sbootstrap.survey.todo import Survey, Work


def restarting_roles(plan: ClusterPlan) -> frozenset[str]:
    """Roles whose services restart for new certificates: they run on one host after another."""
    names = {entry.restarts for entry in table.entries(plan)}
    return frozenset(component.role for component in COMPONENTS if component.name in names)


def ends(findings: Mapping[str, HostFinding], hosts: Collection[str] | None = None) -> dict[str, float]:
    """When certificates end that hosts have: name to seconds since 1970, of several hosts the first.

    Args:
        findings: What hosts report.
        hosts: Names of the only hosts that count; None for all.
    """
    found: dict[str, float] = {}
    for host, finding in findings.items():
        if hosts is None or host in hosts:
            for name, end in finding.certificates.items():
                found[name] = min(end, found.get(name, end))
    return found


def of_renewal(
    survey: Survey, findings: Mapping[str, HostFinding], hosts: Collection[str] | None = None
) -> Survey:
    """What of all that is to do concerns roles that bring certificates to hosts. The rest is for ``up``.

    Args:
        survey: All that is to do.
        findings: What hosts report. Roles that a host never had are left out.
        hosts: Names of the only hosts to change; None for all.
    """
    work = {
        host: {role: why for role, why in roles.items() if role in _copying(findings[host])}
        for host, roles in survey.work.items()
        if hosts is None or host in hosts
    }
    return replace(survey, work={host: roles for host, roles in work.items() if roles})


def with_all(
    survey: Survey, findings: Mapping[str, HostFinding], hosts: Collection[str] | None = None
) -> Survey:
    """``survey`` with all roles that bring certificates to hosts: where hosts have them, these do nothing."""
    work = {
        host: {
            role: survey.work.get(host, {}).get(role, Work(("renewal",))) for role in _copying(findings[host])
        }
        for host in findings
        if hosts is None or host in hosts
    }
    return replace(survey, work={host: roles for host, roles in work.items() if roles})


def _copying(finding: HostFinding) -> list[str]:
    return [role for role in COPY_CERTIFICATES if role in finding.digests]


def lines(plan: ClusterPlan, outlook: Outlook, unreachable: Collection[str] = ()) -> list[str]:
    """What is renewed for which host, how long it then lasts, and what restarts.

    Args:
        plan: The cluster.
        outlook: What is to be renewed.
        unreachable: Hosts that don't answer: nothing restarts there.
    """
    by_host: dict[str, list[str]] = {}
    for entry in outlook.due:
        by_host.setdefault(entry.host, []).append(entry.name.rpartition("/")[2])
    shared = by_host.pop("", [])
    said = [f"{host}: {', '.join(names)}" for host, names in by_host.items()]
    said += [f"shared by hosts: {', '.join(shared)}"] if shared else []
    said += _restarts(plan, outlook.due, unreachable)
    return said + bounds(outlook)


def bounds(outlook: Outlook) -> list[str]:
    """One line for each CA that ends before new certificates would."""
    said = [
        f"the CA {name} ends on {end:%Y-%m-%d}: certificates that it signs now end then, too"
        for name, end in outlook.bounds.items()
    ]
    names = [name.removeprefix("hosts/").removeprefix("kubeconfigs/") for name in outlook.useless]
    return said + (
        [f"would last no longer when renewed, because their CA ends then: {', '.join(names)}"]
        if names
        else []
    )


def _restarts(
    plan: ClusterPlan, due: Iterable[table.Leaf | table.Kubeconfig], unreachable: Collection[str]
) -> Iterator[str]:
    hosts: dict[str, list[str]] = {}
    for host in plan.hosts:
        parts = {component.name for component in components_of(plan, host)}
        for name in dict.fromkeys(entry.restarts for entry in due if entry.host in {"", host.name}):
            if name in parts and host.name not in unreachable:
                hosts.setdefault(name, []).append(host.name)
    if not hosts:
        yield "no service restarts: all read their files again"
        return
    by_hosts: dict[tuple[str, ...], list[str]] = {}
    for name, where in hosts.items():
        by_hosts.setdefault(tuple(where), []).append(name)
    parts_of = [f"{' and '.join(names)} on {', '.join(where)}" for where, names in by_hosts.items()]
    yield f"restart, one host after another: {'; '.join(parts_of)}"
    yield "no other service restarts: all others read their files again"

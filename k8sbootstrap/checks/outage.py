"""Which hosts may be out of service for a while, judged before anything is changed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from k8sbootstrap.errors import PreflightError
from k8sbootstrap.formats.text import count
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.etcd_voters import EtcdNow, Voters
from k8sbootstrap.survey.todo import HostFindings


@dataclass(frozen=True)
class Outage:
    """A host that is out of service for a while."""

    host: HostPlan
    drains: bool
    """Whether it is a node whose pods have other nodes to go to."""
    is_member: bool
    """Whether etcd has its member."""
    meanwhile: Voters
    """etcd's voters while it is away."""
    api_stops: bool
    """Whether no API server answers while it is away."""

    @property
    def etcd_stops(self) -> bool:
        """Whether etcd has no quorum while it is away: only one or two members can't do without it."""
        return self.is_member and not self.meanwhile.have_quorum


@dataclass(frozen=True)
class _Problem:
    text: str
    hint: str


def require_answers(plan: ClusterPlan, hosts: Iterable[HostPlan], found: HostFindings) -> None:
    """Go on only where all these hosts answer and belong to the cluster.

    Raises:
        PreflightError: Names those that don't.
    """
    problems = []
    for host in hosts:
        finding = found.findings.get(host.name)
        if finding is None:
            problems.append(
                _Problem(
                    f"{host.name} can't be reached: {found.unreachable.get(host.name, 'no answer')}",
                    f"Start {host.name}, or leave it out: name the other hosts.",
                )
            )
        elif finding.cluster != plan.config.name:
            has = f"belongs to the cluster {finding.cluster}" if finding.cluster else "has nothing of it"
            problems.append(
                _Problem(
                    f"{host.name} is not in the cluster {plan.config.name}: it {has}",
                    f"Check the address of {host.name} in cluster.yaml, or run k8sbootstrap up first.",
                )
            )
    _raise(problems)


def outages(
    plan: ClusterPlan, hosts: Sequence[HostPlan], found: HostFindings, etcd: EtcdNow, *, together: bool
) -> tuple[Outage, ...]:
    """What it means that these hosts are away.

    Args:
        plan: The cluster.
        hosts: The hosts, in the order in which they go.
        found: What hosts report.
        etcd: Its members now.
        together: Whether they stay away. Else each is back before the next one goes.

    Raises:
        PreflightError: They must not go; says why, and what can be done instead.
    """
    made: list[Outage] = []
    problems: list[_Problem] = []
    answering = [host for host in plan.masters if _has_api(host, found)]
    if hosts and not answering:
        errors = [each.api_error for each in found.findings.values() if each.api_error]
        problems.append(
            _Problem(
                f"no API server answers: {'; '.join(errors) or 'no master could be asked'}",
                "Bring one back first: k8sbootstrap status shows what is wrong.",
            )
        )
    now = etcd.count
    for host in hosts:
        address = str(host.private_address)
        away = now.away(healthy=address in etcd.healthy) if etcd.voters.get(address) else now
        before = [each.host for each in made] if together else []
        left = [each for each in answering if each != host and each not in before]
        outage = Outage(
            host,
            drains=host.is_node and any(node != host and node not in before for node in plan.nodes),
            is_member=address in etcd.voters,
            meanwhile=away,
            api_stops=host.is_master and not left,
        )
        problems += _of_host(plan, outage, etcd, [each.name for each in before])
        made.append(outage)
        now = away if together else now
    _raise(problems)
    return tuple(made)


def require_quorum(plan: ClusterPlan, starting: Iterable[HostPlan], etcd: EtcdNow) -> None:
    """Go on only where etcd has a quorum once these hosts have started: members wait for each other.

    Raises:
        PreflightError: It will have none; names hosts to start, too.
    """
    chosen = list(starting)
    up = [host for host in plan.etcd_members if host in chosen or str(host.private_address) in etcd.healthy]
    members = Voters(len(plan.etcd_members), len(up))
    if chosen and not members.have_quorum:
        down = [host.name for host in plan.etcd_members if host not in up]
        text = (
            f"etcd would have no quorum: {len(up)} of {members.number} members would run, and "
            f"{members.quorum} must"
        )
        _raise([_Problem(text, f"Start {' or '.join(down)}, too, or all: k8sbootstrap start.")])


def lines_of(outage: Outage, plan: ClusterPlan) -> Iterator[str]:
    """What the rest of the cluster notices."""
    name, voters = outage.host.name, outage.meanwhile
    if outage.etcd_stops or outage.api_stops:
        what = "etcd has no quorum" if outage.etcd_stops else "no API server answers"
        yield f"{name}: {what} until it is back; running pods on other hosts go on"
    elif outage.is_member:
        yield (
            f"etcd: without {name} {voters.healthy} of {count(voters.number, 'member')} are healthy, and "
            f"{voters.may_fail} of them may fail"
        )
    if plan.serves_images(outage.host):
        yield f"{name}: the cluster's image registry is away until it is back"


def _of_host(plan: ClusterPlan, outage: Outage, etcd: EtcdNow, before: Sequence[str]) -> Iterator[_Problem]:
    name, voters = outage.host.name, outage.meanwhile
    after = f"after {' and '.join(before)}, " if before else ""
    safe = f"It is safe to stop {' and '.join(before)} alone. " if before else ""
    down = [
        host.name
        for host in plan.etcd_members
        if host != outage.host
        and (address := str(host.private_address)) in etcd.voters
        and address not in etcd.healthy
    ]
    bring = f"Bring {' and '.join(down)} back first: k8sbootstrap status shows what is wrong." if down else ""
    if outage.etcd_stops and (voters.number > 2 or down):  # noqa: PLR2004 - fewer can't do without one
        yield _Problem(
            f"{after}etcd would have no quorum without {name}: of {voters.number} members {voters.healthy} "
            f"would be healthy, and {voters.quorum} must be",
            f"{safe}{bring}".strip() or "Name fewer masters, or no host for the whole cluster.",
        )
    elif outage.api_stops and len(plan.masters) > 1:
        yield _Problem(
            f"{after}no API server would answer without {name}: no other master's does",
            f"{safe}Bring another master back first: k8sbootstrap status shows what is wrong.",
        )


def _has_api(host: HostPlan, found: HostFindings) -> bool:
    finding = found.findings.get(host.name)
    return finding is not None and finding.pod_cidrs is not None


def _raise(problems: Sequence[_Problem]) -> None:
    if problems:
        raise PreflightError(
            "\n".join([*dict.fromkeys(each.text for each in problems), "Nothing was changed."]),
            hint="\n".join(dict.fromkeys(each.hint for each in problems)),
        )

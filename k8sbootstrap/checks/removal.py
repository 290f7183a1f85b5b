"""Which hosts may be taken out of a cluster, and in which order: judged before anything is changed."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from k8sbootstrap.errors import PreflightError
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.etcd_voters import EtcdNow, Voters
from k8sbootstrap.survey.todo import HostFindings


@dataclass(frozen=True)
class Departure:
    """A host that is taken out, and what of it is still in the cluster."""

    host: HostPlan
    silent: bool
    """Whether it does not answer, or answers and has nothing of the cluster."""
    installed: bool
    """Whether it answers, and something of the cluster is on it."""
    is_node: bool
    """Whether the API has its Node."""
    is_member: bool
    """Whether etcd has its member."""
    healthy: bool
    """Whether that member is."""
    before: Voters
    """etcd's voters before it goes."""
    after: Voters
    """etcd's voters afterwards."""

    @property
    def is_to_do(self) -> bool:
        """Whether something of it is left."""
        return self.installed or self.is_node or self.is_member


@dataclass(frozen=True)
class _Problem:
    text: str
    hint: str


def order(
    plan: ClusterPlan, names: Sequence[str], found: HostFindings, etcd: EtcdNow, *, dead: bool
) -> tuple[Departure, ...]:
    """The hosts to take out, in the order in which they go: those first whose members are not healthy.

    Args:
        plan: The cluster, with these hosts.
        names: Of hosts in ``plan``, each once.
        found: What hosts report.
        etcd: Its members now.
        dead: Whether the operator says that they are dead.

    Raises:
        PreflightError: They must not be taken out; says why, and what can be done instead.
    """
    hosts = [host for host in plan.hosts if host.name in names]
    departures = list(_in_order(hosts, plan, found, etcd))
    there = [each for each in departures if each.is_to_do]
    problems = [*_other_clusters(plan, hosts, found), *_roles(plan, names)]
    problems += list(_answers(departures, found, dead=dead))
    if not problems:
        problems = [*_without_api(plan, names, found), *_without_quorum(plan, there, etcd, names)]
    if problems:
        raise PreflightError(
            "\n".join([*(problem.text for problem in problems), "Nothing was changed."]),
            hint="\n".join(dict.fromkeys(problem.hint for problem in problems)),
        )
    return tuple(departures)


def _in_order(
    hosts: Iterable[HostPlan], plan: ClusterPlan, found: HostFindings, etcd: EtcdNow
) -> Iterator[Departure]:
    masters = [found.findings[host.name] for host in plan.masters if host.name in found.findings]
    nodes = {name for finding in masters for name in finding.pod_cidrs or ()}
    now = etcd.count
    for host in sorted(hosts, key=lambda host: str(host.private_address) in etcd.healthy):
        address = str(host.private_address)
        finding = found.findings.get(host.name)
        installed = finding is not None and finding.cluster == plan.config.name
        before = now
        if etcd.voters.get(address):
            now = now.without(healthy=address in etcd.healthy)
        yield Departure(
            host,
            silent=not installed,
            installed=installed,
            is_node=host.name in nodes,
            is_member=address in etcd.voters,
            healthy=address in etcd.healthy,
            before=before,
            after=now,
        )


def _other_clusters(plan: ClusterPlan, hosts: Iterable[HostPlan], found: HostFindings) -> Iterator[_Problem]:
    for host in hosts:
        finding = found.findings.get(host.name)
        if finding and finding.cluster not in {"", plan.config.name}:
            yield _Problem(
                f"{host.name} belongs to the cluster {finding.cluster}, not to {plan.config.name}",
                f"Check the address of {host.name} in cluster.yaml.",
            )


def _roles(plan: ClusterPlan, names: Collection[str]) -> Iterator[_Problem]:
    """What only these hosts do for the cluster."""
    if all(host.name in names for host in plan.masters):
        yield _Problem(
            f"{_and(host.name for host in plan.masters)}: no master would stay, and the cluster would be "
            "gone",
            "Leave one master in the cluster. To remove the whole cluster: k8sbootstrap reset.",
        )
    elif all(host.name in names for host in plan.etcd_members):
        yield _Problem(
            f"{_and(host.name for host in plan.etcd_members)}: no member of etcd would stay, and with it all "
            "data would be gone",
            "Leave one host of etcd in the cluster. To remove the whole cluster: k8sbootstrap reset.",
        )
    for host in plan.image_registries:
        if host.name in names:
            yield _Problem(
                f"{host.name} has the cluster's image registry",
                "Set registry.host to another host, and run k8sbootstrap up. Then remove the host.",
            )


def _answers(departures: Iterable[Departure], found: HostFindings, *, dead: bool) -> Iterator[_Problem]:
    """Hosts that don't answer are removed with --dead, the others without."""
    silent = [each for each in departures if each.silent and (each.is_node or each.is_member)]
    lost = [
        each
        for each in departures
        if each.silent and each not in silent and each.host.name in found.unreachable
    ]
    alive = [each for each in departures if each.installed]
    if dead and alive:
        first = f"first run k8sbootstrap remove {_words(silent)} --dead, then " if silent else ""
        answer = "answer" if len(alive) > 1 else "answers"
        yield _Problem(
            f"{_and(each.host.name for each in alive)} {answer}: --dead is only for hosts that don't",
            _capitalized(f"{first}run k8sbootstrap remove {_words(alive)} without --dead."),
        )
    if dead:
        return
    for each in silent:
        name = each.host.name
        error = found.unreachable.get(name)
        why = f"can't be reached ({error})" if error else "answers, but has nothing of the cluster"
        rest = [other for other in departures if other not in silent]
        then = f" Then run k8sbootstrap remove {_words(rest)}." if rest else ""
        yield _Problem(
            f"{name} {why}: its pods can't be moved, and it can't be reset",
            f"Start {name}, and run the same command again. If it is dead for good, or was installed anew, "
            f"run k8sbootstrap remove {_words(silent)} --dead.{then}",
        )
    for each in lost:
        name = each.host.name
        yield _Problem(
            f"{name} is not in the cluster any more, but it can't be reached and may not be reset yet "
            f"({found.unreachable[name]})",
            f"Start {name}, and run the same command again; or add --dead.",
        )


def _without_api(plan: ClusterPlan, names: Collection[str], found: HostFindings) -> Iterator[_Problem]:
    """No master that stays can be asked to do something."""
    stay = [host.name for host in plan.masters if host.name not in names]
    if any(found.findings[name].pod_cidrs is not None for name in stay if name in found.findings):
        return
    errors = [str(found.unreachable[name]) for name in stay if name in found.unreachable]
    errors += [found.findings[name].api_error for name in stay if name in found.findings]
    yield _Problem(
        f"no API server answers on the masters that stay: {'; '.join(filter(None, errors)) or _and(stay)}",
        "Bring one of them back first: k8sbootstrap status shows what is wrong.",
    )


def _without_quorum(
    plan: ClusterPlan, departures: Sequence[Departure], etcd: EtcdNow, names: Collection[str]
) -> Iterator[_Problem]:
    members = [each for each in departures if each.is_member]
    if not members:
        return
    down = [
        host.name
        for host in plan.etcd_members
        if (address := str(host.private_address)) in etcd.voters and address not in etcd.healthy
    ]
    if not etcd.count.have_quorum:
        reason = etcd.problem or f"of {etcd.count.number} members only {etcd.count.healthy} are healthy"
        yield _Problem(
            f"etcd has no quorum, so no member can leave: {reason}",
            "Bring members back first. If they are lost for ever: k8sbootstrap etcd recover --survivor HOST.",
        )
        return
    done: list[str] = []
    for each in members:
        if not each.after.have_quorum:
            yield _refused(each, done, [name for name in down if name not in names])
            return
        done.append(each.host.name)


def _refused(departure: Departure, done: Sequence[str], down: Sequence[str]) -> _Problem:
    name, after = departure.host.name, departure.after
    before = f"after {_and(done)}, " if done else ""
    text = (
        f"{before}etcd would lose its quorum without {name}: of the {after.number} members that stay "
        f"{after.healthy} would be healthy, and {after.quorum} must be"
    )
    safe = f"It is safe to remove {_and(done)} first. " if done else ""
    if not down:
        return _Problem(text, f"{safe}Bring the members back that are not healthy: k8sbootstrap status.")
    return _Problem(
        text,
        f"{safe}Bring {_and(down)} back; or if dead for good, remove the dead first: k8sbootstrap "
        f"remove {' '.join(down)} --dead. Then run the same command again.",
    )


def _words(departures: Iterable[Departure]) -> str:
    return " ".join(each.host.name for each in departures)


def _and(names: Iterable[str]) -> str:
    return " and ".join(", ".join(names).rsplit(", ", 1))


def _capitalized(text: str) -> str:
    return text[0].upper() + text[1:]

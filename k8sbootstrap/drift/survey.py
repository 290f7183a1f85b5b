"""What there is to do, host by host and role by role: findings compared with the plan."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from k8sbootstrap.drift.etcd_members import judge_etcd
from k8sbootstrap.drift.probe import Finding, probe
from k8sbootstrap.errors import K8sBootstrapError
from k8sbootstrap.inventory.variables import firewall
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.runner.events import Change
from k8sbootstrap.runner.phases import CLUSTER_ROLES, PHASES, RETIRABLE
from k8sbootstrap.ssh.parallel import run_on_all
from k8sbootstrap.upgrade.models import Upgrade


@dataclass(frozen=True)
class Work:
    """Why a role has to run on a host."""

    causes: tuple[str, ...]
    """Any of new, configuration, drift, upgrade."""
    drift: tuple[Change, ...] = ()
    """What somebody changed there."""


@dataclass(frozen=True)
class Survey:
    """All that is to do on a cluster."""

    work: Mapping[str, Mapping[str, Work]]
    """Host to role to why it has to run there; in their order, and without hosts that have nothing to do."""
    unreachable: Mapping[str, K8sBootstrapError] = field(default_factory=dict)
    """Hosts that could not be looked at, and why."""
    exists: bool = True
    """Some host belongs to the cluster already."""
    etcd_asked: tuple[str, ...] = ()
    """Hosts that the role etcd asks before members start without data; empty where none does."""
    upgrade: Upgrade | None = None
    """How the cluster gets from the release that it runs to another one, where it does."""

    @property
    def settled(self) -> bool:
        """Nothing is to do on the hosts that answered."""
        return not self.work

    def hosts(self, role: str) -> tuple[str, ...]:
        """Hosts that a role has to run on."""
        return tuple(host for host, roles in self.work.items() if role in roles)

    def limited(self, hosts: Collection[str]) -> "Survey":
        """The part that concerns these hosts, and what is done on one master for all."""
        work = {
            host: {role: why for role, why in roles.items() if host in hosts or role in CLUSTER_ROLES}
            for host, roles in self.work.items()
        }
        return replace(self, work={host: roles for host, roles in work.items() if roles})


@dataclass(frozen=True)
class Seen:
    """What hosts answered."""

    findings: Mapping[str, Finding]
    """By host; those that did not answer are missing."""
    unreachable: Mapping[str, K8sBootstrapError] = field(default_factory=dict)
    """Hosts that could not be looked at, and why."""


def look_at_hosts(plan: ClusterPlan) -> Seen:
    """Look at all hosts at once. Changes nothing on them."""
    answers = run_on_all((host.ssh for host in plan.hosts), probe)
    return Seen(
        {host: found for host, found in answers.items() if isinstance(found, Finding)},
        {host: error for host, error in answers.items() if isinstance(error, K8sBootstrapError)},
    )


def compare(plan: ClusterPlan, digests: Mapping[str, Mapping[str, str]], seen: Seen) -> Survey:
    """See what is to do.

    Args:
        plan: The cluster.
        digests: Host to role to digest, as they should be.
        seen: What hosts are like.
    """
    findings = seen.findings
    order = {role: number for number, role in enumerate(role for phase in PHASES for role in phase.roles)}
    work: dict[str, dict[str, Work]] = {host: {} for host in findings}
    for host, finding in findings.items():
        for role in sorted(set(digests[host]) - set(CLUSTER_ROLES), key=order.__getitem__):
            why = _why(finding, role, digests[host][role])
            if why:
                work[host][role] = why
        if any(role in finding.digests and role not in digests[host] for role in RETIRABLE):
            work[host]["retired"] = Work(("configuration",))
    for host in _with_other_routes(plan, findings):
        work[host]["pod_network"] = _also(work[host].get("pod_network"), "drift")
    for host in _with_other_openings(plan, findings):
        work[host]["host"] = _also(work[host].get("host"), "configuration")
    for host in {name for finding in findings.values() for name in finding.cordoned} & set(findings):
        work[host]["kubelet"] = _unfinished(work[host].get("kubelet", Work(())))
    for role in CLUSTER_ROLES:
        for host, why in _on_one_master(plan, role, digests, findings):
            work[host][role] = why
    etcd = judge_etcd(plan, {host: finding.etcd for host, finding in findings.items()})
    return Survey(
        {
            host: dict(sorted(roles.items(), key=lambda item: order[item[0]]))
            for host, roles in work.items()
            if roles
        },
        seen.unreachable,
        exists=any(finding.cluster for finding in findings.values()),
        etcd_asked=tuple(findings) if etcd.begins else (),
    )


def _why(finding: Finding, role: str, digest: str) -> Work | None:
    drift = tuple(finding.drift.get(role, ()))
    applied = finding.digests.get(role)
    causes = [] if applied == digest else ["configuration" if applied else "new"]
    if drift:
        causes.append("drift")
    return Work(tuple(causes), drift) if causes else None


def _also(before: Work | None, cause: str) -> Work:
    """``before`` with one more cause."""
    work = before or Work(())
    return replace(work, causes=tuple(dict.fromkeys([*work.causes, cause])))


def _unfinished(before: Work) -> Work:
    """The kubelet's work where an upgrade was stopped and the node still takes no pods."""
    return replace(before, causes=(*before.causes, "upgrade"))


def _on_one_master(
    plan: ClusterPlan,
    role: str,
    digests: Mapping[str, Mapping[str, str]],
    findings: Mapping[str, Finding],
) -> Iterator[tuple[str, Work]]:
    """Which master, if any, a role that changes Kubernetes objects has to run on."""
    masters = [host.name for host in plan.masters if host.name in findings]
    keepers = [host for host in masters if findings[host].digests.get(role)]
    for host in [*keepers, *masters][:1]:
        finding = findings[host]
        why = _why(finding, role, digests[host][role])
        if why is None and finding.api_error:
            why = Work(("drift",), (Change(text=f"unknown: {finding.api_error}"),))
        if why:
            yield host, why


def _with_other_routes(plan: ClusterPlan, findings: Mapping[str, Finding]) -> Iterator[str]:
    """Hosts whose routes are not those of the podCIDRs that nodes have, where hosts have such routes."""
    if plan.config.network.plugin != "routed":
        return
    known = next((found.pod_cidrs for found in findings.values() if found.pod_cidrs is not None), None)
    if known is None:
        return
    wanted = {str(host.private_address): known.get(host.name, "") for host in plan.nodes}
    for host in plan.nodes:
        if host.name in findings and findings[host.name].digests.get("pod_network"):
            others = {address: cidr for address, cidr in wanted.items() if cidr}
            others.pop(str(host.private_address), None)
            if findings[host.name].routes != others:
                yield host.name


def _with_other_openings(plan: ClusterPlan, findings: Mapping[str, Finding]) -> Iterator[str]:
    """Hosts whose firewalld lets other things through than it should: other hosts came or went."""
    for host in plan.hosts:
        found = findings.get(host.name)
        if found and found.firewall is not None and found.firewall != firewall(plan, host):
            yield host.name

"""What there is to do, host by host and role by role: findings compared with the plan."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from k8sbootstrap.errors import K8sBootstrapError
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.changes import Change
from k8sbootstrap.plan.firewall import firewall
from k8sbootstrap.plan.models import ClusterPlan, UnplannedNode
from k8sbootstrap.plan.phases import CLUSTER_ROLES, CORDONING, PHASES, RETIRABLE, UNCORDON
from k8sbootstrap.survey.etcd_members import EtcdGrowth, judge_etcd
from k8sbootstrap.survey.nodes import cordoned, joining, missing, pod_cidrs
from k8sbootstrap.survey.record import HostFinding, probe
from k8sbootstrap.survey.upgrade.models import PendingUpgrade

IN_CLUSTER = ("node", "object")
"""Kinds of things that are in the cluster, and on no host."""


@dataclass(frozen=True)
class Work:
    """Why a role has to run on a host."""

    causes: tuple[str, ...]
    """Any of new, configuration, drift, cluster, renewal, unknown, upgrade, and commands of ``CORDONING``."""
    drift: tuple[Change, ...] = ()
    """What somebody changed on the host or in the cluster, or why that is unknown."""


@dataclass(frozen=True)
class Survey:
    """All that is to do on a cluster."""

    work: Mapping[str, Mapping[str, Work]]
    """Why roles have to run, by host and role, in order; hosts with nothing to do are left out."""
    unreachable: Mapping[str, K8sBootstrapError] = field(default_factory=dict)
    """Hosts that could not be looked at, and why."""
    without_api: tuple[str, ...] = ()
    """Masters whose API server does not answer, while another one's does."""
    exists: bool = True
    """Whether a host belongs to the cluster already."""
    etcd_asked: tuple[str, ...] = ()
    """Hosts that the role etcd asks before members start without data; empty where none does."""
    etcd_growth: EtcdGrowth | None = None
    """Members that join etcd; None where none does."""
    last_phase: str = ""
    """Name of the phase after which the run ends; empty for the last one."""
    etcd_restoring: str = ""
    """Id of a restore that brings etcd's data: its role installs it without starting it. Empty for none."""
    unplanned: tuple[UnplannedNode, ...] = ()
    """Nodes that cluster.yaml does not name."""
    upgrade: PendingUpgrade | None = None
    """How the cluster gets from the release that it runs to another one, where it does."""
    renew: Collection[str] = ()
    """Names of certificates that replace those of hosts, though these are good."""
    one_by_one: Collection[str] = ()
    """Roles that run on one host after another, and on no other once one fails."""

    @property
    def settled(self) -> bool:
        """Whether nothing is to do on the hosts that answered."""
        return not self.work

    @property
    def renews(self) -> bool:
        """Whether certificates of hosts end soon, and hosts get new ones."""
        return any("renewal" in why.causes for roles in self.work.values() for why in roles.values())

    def hosts(self, role: str) -> tuple[str, ...]:
        """Hosts that a role has to run on."""
        return tuple(host for host, roles in self.work.items() if role in roles)

    def of_roles(self, wanted: Collection[str]) -> "Survey":
        """The part that these roles do."""
        work = {
            host: {role: why for role, why in roles.items() if role in wanted}
            for host, roles in self.work.items()
        }
        return replace(self, work={host: roles for host, roles in work.items() if roles})

    def until(self, phase: str) -> "Survey":
        """The part up to a phase. Preparing a host begins with the role packages, which does not wait."""
        names = [each.name for each in PHASES]
        wanted = {role for each in PHASES[: names.index(phase) + 1] for role in each.roles}
        part = self.of_roles({"packages", *wanted})
        work = {
            host: {role: why for role, why in roles.items() if role != "packages" or "host" in roles}
            for host, roles in part.work.items()
        }
        return replace(part, work={host: roles for host, roles in work.items() if roles}, last_phase=phase)

    def limited(self, hosts: Collection[str]) -> "Survey":
        """The part that concerns these hosts, and what is done on one master for all."""
        work = {
            host: {role: why for role, why in roles.items() if host in hosts or role in CLUSTER_ROLES}
            for host, roles in self.work.items()
        }
        return replace(self, work={host: roles for host, roles in work.items() if roles})


@dataclass(frozen=True)
class HostFindings:
    """The answers of all hosts."""

    findings: Mapping[str, HostFinding]
    """By host; those that did not answer are missing."""
    unreachable: Mapping[str, K8sBootstrapError] = field(default_factory=dict)
    """Hosts that could not be looked at, and why."""


def look_at_hosts(plan: ClusterPlan, pool: Pool) -> HostFindings:
    """Look at all hosts at once. Changes nothing on them."""
    answers = pool.on_all((host.ssh for host in plan.hosts), probe)
    return HostFindings(
        {host: found for host, found in answers.items() if isinstance(found, HostFinding)},
        {host: error for host, error in answers.items() if isinstance(error, K8sBootstrapError)},
    )


def compare(plan: ClusterPlan, digests: Mapping[str, Mapping[str, str]], seen: HostFindings) -> Survey:
    """Find out what is to do.

    Args:
        plan: The cluster.
        digests: The wanted digest, by host and role.
        seen: The answers of hosts.
    """
    findings = seen.findings
    names = [role for phase in (*PHASES, UNCORDON) for role in phase.roles]
    order = {role: number for number, role in enumerate(names)}
    work: dict[str, dict[str, Work]] = {host: {} for host in findings}
    for host, finding in findings.items():
        for role in sorted(set(digests[host]) - set(CLUSTER_ROLES), key=order.__getitem__):
            why = _why(finding, role, digests[host][role])
            if why:
                work[host][role] = why
        if any(role in finding.digests and role not in digests[host] for role in RETIRABLE):
            work[host]["retired"] = Work(("configuration",))
    gone = missing(plan, findings)
    for host, role, cause, changes in [
        *((host, "pod_network", "cluster", ()) for host in _with_other_routes(plan, findings)),
        *((host, "kubelet", "cluster", (_again(host),)) for host in gone),
        *((host, "host", "configuration", ()) for host in _with_other_openings(plan, findings)),
    ]:
        work[host][role] = _with_cause(work[host].get(role), cause, *changes)
    for host, reason in cordoned(plan, findings).items():
        command = reason.partition(":")[0]
        role, cause = ("node_uncordon", command) if command in CORDONING else ("kubelet", "upgrade")
        work[host][role] = _with_cause(work[host].get(role), cause)
    for role in CLUSTER_ROLES:
        for host, why in _on_one_master(plan, role, digests, findings, gone):
            work[host][role] = why
    etcd = judge_etcd(plan, {host: finding.etcd for host, finding in findings.items()})
    return Survey(
        {
            host: dict(sorted(roles.items(), key=lambda item: order[item[0]]))
            for host, roles in work.items()
            if roles
        },
        seen.unreachable,
        _without_api(plan, findings),
        exists=any(finding.cluster for finding in findings.values()),
        etcd_asked=tuple(findings) if etcd.begins else (),
        etcd_growth=EtcdGrowth(etcd.joins, len(plan.etcd_members)) if etcd.joins else None,
        unplanned=plan.unplanned_nodes,
    )


def change_cause(change: Change) -> str:
    """What a change since the last run is: drift (of the host), cluster, renewal, or unknown."""
    if not change.kind:
        return "unknown"
    if "renewal" in change.causes:
        return "renewal"
    return "cluster" if change.kind in IN_CLUSTER else "drift"


def _why(finding: HostFinding, role: str, digest: str) -> Work | None:
    drift = tuple(finding.drift.get(role, ()))
    applied = finding.digests.get(role)
    causes = [] if applied == digest else ["configuration" if applied else "new"]
    causes += dict.fromkeys(change_cause(change) for change in drift)
    return Work(tuple(causes), drift) if causes else None


def _with_cause(before: Work | None, cause: str, *changes: Change) -> Work:
    """``before`` with one more cause."""
    work = before or Work(())
    causes = tuple(dict.fromkeys([*work.causes, cause]))
    return replace(work, causes=causes, drift=(*work.drift, *changes))


def _without_api(plan: ClusterPlan, findings: Mapping[str, HostFinding]) -> tuple[str, ...]:
    masters = [host.name for host in plan.masters if host.name in findings]
    silent = tuple(name for name in masters if findings[name].pod_cidrs is None)
    return silent if len(silent) < len(masters) else ()


def _again(node: str) -> Change:
    text = f"node {node} registered again"
    return Change(text=text, kind="node", action="add", name=node, causes=("drift",))


def _on_one_master(
    plan: ClusterPlan,
    role: str,
    digests: Mapping[str, Mapping[str, str]],
    findings: Mapping[str, HostFinding],
    gone: Collection[str],
) -> Iterator[tuple[str, Work]]:
    """Which master, if any, a role that changes Kubernetes objects has to run on."""
    masters = [host.name for host in plan.masters if host.name in findings]
    keepers = [host for host in masters if findings[host].digests.get(role)]
    for host in [*keepers, *masters][:1]:
        finding = findings[host]
        why = _why(finding, role, digests[host][role])
        if role == "node_settings" and gone:  # labels and taints went with the nodes
            why = _with_cause(why, "cluster", *map(_again, gone))
        elif role == "node_settings" and why is None and joining(plan, findings):
            why = Work(("new",))
        if why is None and finding.api_error:
            why = Work(("unknown",), (Change(text=finding.api_error),))
        if why:
            yield host, why


def _with_other_routes(plan: ClusterPlan, findings: Mapping[str, HostFinding]) -> Iterator[str]:
    """Hosts whose routes, or own range, are not those of the podCIDRs that nodes have."""
    known = pod_cidrs(plan, findings)
    if plan.config.network.plugin != "routed" or known is None:
        return
    others_join = joining(plan, findings)
    wanted = {str(node.address): str(node.pod_cidr) for node in plan.unplanned_nodes if node.pod_cidr}
    wanted |= {str(host.private_address): cidr for host in plan.nodes if (cidr := known.get(host.name, ""))}
    for host in plan.nodes:
        if host.name in findings and findings[host.name].digests.get("pod_network"):
            found, own = findings[host.name], str(host.private_address)
            others = {address: cidr for address, cidr in wanted.items() if address != own}
            # a node that joins gets its range in this run, and all the others need to know
            if others_join or found.routes != others or found.own_range != wanted.get(own, ""):
                yield host.name


def _with_other_openings(plan: ClusterPlan, findings: Mapping[str, HostFinding]) -> Iterator[str]:
    """Hosts whose firewalld lets other things through than it should: other hosts came or went."""
    for host in plan.hosts:
        found = findings.get(host.name)
        if found and found.firewall is not None and found.firewall != firewall(plan, host):
            yield host.name

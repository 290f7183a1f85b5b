"""The state of etcd: its members, their quorum, and the snapshots that are kept on hosts."""

from dataclasses import dataclass

from k8sbootstrap.hosts.answers import Request
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.cluster import parse
from k8sbootstrap.survey.cluster.facts import Facts
from k8sbootstrap.survey.cluster.requests import (
    ENDPOINT_HEALTH,
    ENDPOINT_STATUS,
    MEMBERS,
    SNAPSHOT_FOLDER,
    SNAPSHOTS,
    etcd_questions,
)
from k8sbootstrap.survey.etcd_voters import Voters
from k8sbootstrap.survey.status.models import EtcdMemberStatus, EtcdSnapshot


@dataclass(frozen=True)
class EtcdState:
    """etcd at one moment. Field names are those of the JSON output."""

    cluster: str
    members: tuple[EtcdMemberStatus, ...]
    """Those on hosts of cluster.yaml."""
    voters: Voters
    """Of all members, those that vote; no more of them count as healthy than could be asked."""
    snapshots: tuple[EtcdSnapshot, ...]
    """On all hosts that answer, the newest first."""

    @property
    def leader(self) -> EtcdMemberStatus | None:
        """The member that leads, where one says so."""
        return next((each for each in self.members if each.leader), None)

    def lag(self, each: EtcdMemberStatus) -> int:
        """How many entries of raft's log a member has not applied that another one has."""
        return max((other.index for other in self.members), default=0) - each.index


def look(plan: ClusterPlan, pool: Pool) -> Facts:
    """Ask all hosts of etcd. Changes nothing.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.

    Returns:
        Facts that know etcd alone.
    """
    hosts = Hosts(pool, (host.ssh for host in plan.etcd_members))
    answers = hosts.ask_all({host.name: Request(run=etcd_questions()) for host in plan.etcd_members})
    return Facts(plan, answers=answers, lost=dict(hosts.lost))


def state(facts: Facts) -> EtcdState:
    """The state of etcd, computed from facts."""
    members = tuple(member(facts, host) for host in facts.plan.etcd_members)
    healthy = sum(each.healthy and not each.learner for each in members)
    return EtcdState(facts.plan.config.name, members, _voters(facts, healthy), snapshots(facts))


def member(facts: Facts, host: HostPlan) -> EtcdMemberStatus:
    """The state of the member on a host."""
    answer = facts.answers.get(host.name)
    if answer is None:
        return EtcdMemberStatus(host.name, healthy=False, message="the host cannot be reached")
    trouble = parse.etcd_unhealthy(answer.run[ENDPOINT_HEALTH])
    try:
        status = parse.etcd_status(answer.run[ENDPOINT_STATUS])
    except ValueError as error:
        return EtcdMemberStatus(host.name, healthy=False, message=trouble or str(error))
    return EtcdMemberStatus(
        host=host.name,
        healthy=not trouble,
        message=trouble,
        leader=status.leader == status.member,
        id=f"{status.member:x}",
        version=status.version,
        db_size=status.db_size,
        db_in_use=status.db_in_use,
        quota=status.quota,
        learner=status.learner,
        term=status.term,
        index=status.index,
        revision=status.revision,
        alarms=status.errors,
    )


def snapshots(facts: Facts) -> tuple[EtcdSnapshot, ...]:
    """The snapshots on all hosts that answered, the newest first."""
    found = [
        EtcdSnapshot(host.name, f"{SNAPSHOT_FOLDER}/{each.name}", each.bytes, each.taken)
        for host in facts.up(facts.plan.etcd_members)
        for each in parse.snapshots(facts.answers[host.name].run[SNAPSHOTS])
    ]
    return tuple(sorted(found, key=lambda each: each.taken, reverse=True))


def _voters(facts: Facts, healthy: int) -> Voters:
    for host in facts.up(facts.plan.etcd_members):
        try:
            listed = parse.etcd_members(facts.answers[host.name].run[MEMBERS])
        except ValueError:
            continue
        return Voters(sum(not each.learner for each in listed), healthy)
    return Voters(len(facts.plan.etcd_members), healthy)

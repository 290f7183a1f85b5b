"""Is etcd one cluster of exactly the planned members, all healthy, with one leader?"""

from collections.abc import Iterator

from k8sbootstrap.checks.cluster.shared import per_host
from k8sbootstrap.checks.framework import Verdict, failed, passed
from k8sbootstrap.hosts.answers import Answer
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.cluster.facts import Facts
from k8sbootstrap.survey.cluster.parse import (
    EtcdMember,
    EtcdStatus,
    etcd_members,
    etcd_status,
    etcd_unhealthy,
    is_only_full,
)
from k8sbootstrap.survey.cluster.requests import ENDPOINT_HEALTH, ENDPOINT_STATUS, MEMBERS


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per member, and one on whether they agree.

    Fix: `k8sbootstrap etcd status` shows the members. A member that is missing, or too many, follows from
    hosts that were added or lost: `k8sbootstrap plan` says what `up` would do.
    """
    yield from per_host(facts, facts.plan.etcd_members, _member)
    yield _together(facts)


def _member(_: HostPlan, answer: Answer) -> Verdict:
    trouble = etcd_unhealthy(answer.run[ENDPOINT_HEALTH])
    if is_only_full(trouble):
        return failed(
            "takes no writes: its database has reached its quota (alarm NOSPACE). "
            "Run: k8sbootstrap etcd defrag"
        )
    if trouble:
        return failed(f"no quorum read through this member: {trouble}")
    try:
        status = etcd_status(answer.run[ENDPOINT_STATUS])
    except ValueError as error:
        return failed(f"etcdctl endpoint status: {error}")
    if status.errors:
        return failed(f"reports {', '.join(status.errors)}")
    if not status.leader:
        return failed("has no leader")
    role = "leader" if status.leader == status.member else "follower"
    return passed(f"healthy {role}, etcd {status.version}, {status.db_size / 2**20:.1f} MiB")


def _together(facts: Facts) -> Verdict:
    statuses: dict[str, EtcdStatus] = {}
    members: tuple[EtcdMember, ...] = ()
    for host in facts.up(facts.plan.etcd_members):
        run = facts.answers[host.name].run
        try:
            statuses[host.name] = etcd_status(run[ENDPOINT_STATUS])
            members = etcd_members(run[MEMBERS])
        except ValueError:
            continue
    if not members:
        return failed("no member could list the members")
    troubles = _membership(facts, members)
    for what, values in (
        ("cluster", {name: f"{status.cluster:x}" for name, status in statuses.items()}),
        ("leader", {name: f"{status.leader:x}" for name, status in statuses.items()}),
        ("raft term", {name: str(status.term) for name, status in statuses.items()}),
    ):
        if len(set(values.values())) > 1:
            seen = ", ".join(f"{name} reports {value}" for name, value in values.items())
            troubles.append(f"members report different values of the {what}: {seen}")
    if troubles:
        return failed("; ".join(troubles))
    status = next(iter(statuses.values()))
    if not status.leader:
        return failed("there is no leader")
    leader = next((member.name for member in members if member.id == status.leader), "")
    if not leader:
        return failed(f"the leader {status.leader:x} is not a member")
    return passed(f"{len(members)} members, leader {leader}, raft term {status.term}")


def _membership(facts: Facts, members: tuple[EtcdMember, ...]) -> list[str]:
    """How the member list differs from the plan."""
    planned = {f"https://{host.private_address}:2380": host.name for host in facts.plan.etcd_members}
    seen = {url: member for member in members for url in member.peer_urls}
    return [
        *(f"{name} ({url}) is not a member" for url, name in planned.items() if url not in seen),
        *(
            f"{m.name or 'a member'} ({url}) is not in cluster.yaml"
            for url, m in seen.items()
            if url not in planned
        ),
        *(f"{member.name or url} has never started" for url, member in seen.items() if not member.name),
        *(f"{member.name} is a learner without a vote" for member in members if member.learner),
    ]

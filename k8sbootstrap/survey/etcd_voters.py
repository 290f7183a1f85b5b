"""Who votes in etcd, and who is well: what decides whether members can be taken out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from k8sbootstrap.formats.text import count
from k8sbootstrap.hosts.answers import Request
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.cluster.parse import etcd_members, etcd_unhealthy
from k8sbootstrap.survey.cluster.requests import ENDPOINT_HEALTH, MEMBERS, etcdctl


@dataclass(frozen=True)
class Voters:
    """etcd's voters, as a number, and how many of them are healthy."""

    number: int
    healthy: int

    @property
    def quorum(self) -> int:
        """How many must be healthy."""
        return self.number // 2 + 1

    @property
    def have_quorum(self) -> bool:
        """Whether enough of them are."""
        return self.number > 0 and self.healthy >= self.quorum

    @property
    def may_fail(self) -> int:
        """How many of the healthy ones may fail while the others still have a quorum."""
        return max(0, self.healthy - self.quorum)

    def without(self, *, healthy: bool) -> "Voters":
        """Those that are left when a healthy one, or one that is not, is taken out."""
        return Voters(self.number - 1, self.healthy - healthy)

    def away(self, *, healthy: bool) -> "Voters":
        """The same while one that is healthy, or one that is not, is away."""
        return Voters(self.number, self.healthy - healthy)


@dataclass(frozen=True)
class EtcdNow:
    """etcd's members at one moment."""

    voters: Mapping[str, bool] = field(default_factory=dict)
    """Address of each member to whether it votes; learners don't. Empty where no member could say."""
    healthy: frozenset[str] = frozenset()
    """Addresses of those that are healthy, of hosts of cluster.yaml: others are not asked."""
    problem: str = ""
    """Why no member could say who the members are."""

    @property
    def count(self) -> Voters:
        """The voters."""
        voting = {address for address, votes in self.voters.items() if votes}
        return Voters(len(voting), len(voting & self.healthy))


def leaving(name: str, before: Voters, after: Voters) -> str:
    """A line about a member that leaves, with the number of members that may fail before and after."""
    return f"etcd: {name} leaves: {_words(before)}, become {_words(after, noun=False)}"


def _words(voters: Voters, *, noun: bool = True) -> str:
    number = count(voters.number, "member") if noun else str(voters.number)
    down = voters.number - voters.healthy
    ill = f" ({down} of them {'is' if down == 1 else 'are'} not healthy)" if down else ""
    return f"{number}{ill}, of which {voters.may_fail}{' more' if down else ''} may fail"


def look_at_etcd(plan: ClusterPlan, pool: Pool) -> EtcdNow:
    """Ask all members on hosts of cluster.yaml. Changes nothing.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
    """
    hosts = Hosts(pool, (host.ssh for host in plan.etcd_members))
    request = Request(
        run={MEMBERS: etcdctl("member", "list"), ENDPOINT_HEALTH: etcdctl("endpoint", "health")}
    )
    answers = hosts.ask_all({host.name: request for host in plan.etcd_members})
    addresses = {host.name: str(host.private_address) for host in plan.etcd_members}
    healthy = {
        addresses[name] for name, answer in answers.items() if not etcd_unhealthy(answer.run[ENDPOINT_HEALTH])
    }
    problem = "; ".join(hosts.lost.values())
    for name, answer in answers.items():
        try:
            members = etcd_members(answer.run[MEMBERS])
        except ValueError as error:
            problem = problem or f"{name}: {error}"
            continue
        voters = {_address(member.peer_urls): not member.learner for member in members}
        return EtcdNow(voters, frozenset(healthy & set(voters)))
    return EtcdNow(problem=problem)


def _address(urls: tuple[str, ...]) -> str:
    return urls[0].split("://")[-1].rsplit(":", 1)[0] if urls else ""

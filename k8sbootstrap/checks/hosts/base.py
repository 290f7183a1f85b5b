"""What checks of a host get to see."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.connections import Tried
from k8sbootstrap.survey.facts import HostFacts


@dataclass(frozen=True)
class Seen:
    """What one host's probe brought, and when it was asked."""

    facts: HostFacts
    asked: float
    """Seconds since 1970 on the controller's clock, before the probe was sent."""
    answered: float
    """The same, after its answer came."""
    bucket: str | None = None
    """Why the host can't use the bucket for snapshots of etcd; None where that was not asked."""


@dataclass(frozen=True)
class HostCase:
    """One host under examination."""

    plan: ClusterPlan
    host: HostPlan
    seen: Mapping[str, Seen]
    """By host name, of every host that answered."""
    connections: Tried = field(default_factory=Tried)
    """What came of hosts' connecting to each other."""

    @property
    def facts(self) -> HostFacts:
        """What was seen on this host."""
        return self.seen[self.host.name].facts

    @property
    def ours(self) -> bool:
        """Whether this tool has put this very cluster on the host before."""
        return self.is_ours(self.host.name)

    def is_ours(self, host: str) -> bool:
        """Whether this tool has put this very cluster on a host that answered."""
        return self.seen[host].facts.cluster == self.plan.config.name

    def others_with(self, value: Callable[[HostFacts], object]) -> list[str]:
        """Names of the other hosts of which the same is true."""
        mine = value(self.facts)
        return [
            name for name, other in self.seen.items() if name != self.host.name and value(other.facts) == mine
        ]


def names(hosts: list[str]) -> str:
    """Names in a sentence: ``m1, m2 and m3``."""
    return " and ".join(", ".join(hosts).rsplit(", ", 1))

"""Are the planned etcd members those that the cluster has? Judged before any host is touched.

The rules are those of the role etcd, so that up and a plain ansible-playbook refuse the same things.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from pydantic import Field

from k8sbootstrap.formats.text import count
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.resources import shared_rules

_Text = Annotated[str, Field(max_length=253, pattern=r"^[\w.:/\[\]-]*$")]
_Id = Annotated[str, Field(pattern="^[0-9a-f]{1,16}$")]
_Number = Annotated[int, Field(ge=0, lt=2**63)]
_MANY = 1000


@dataclass(frozen=True)
class Member:
    """One member, as a running member reports it."""

    id: _Id
    name: _Text
    """Empty where it was added and has not started."""
    urls: Annotated[tuple[_Text, ...], Field(max_length=_MANY)]
    """Where its peers reach it."""
    started: bool
    """Whether it has been ready once."""


@dataclass(frozen=True)
class Living:
    """What a running member reports about its cluster."""

    cluster: _Id
    members: Annotated[tuple[Member, ...], Field(max_length=_MANY)]
    revision: _Number
    """Goes up with every change of the data."""
    objects: _Number
    """Number of Kubernetes' objects in it."""


@dataclass(frozen=True)
class EtcdReport:
    """What a host has of etcd; see ``look`` in playbooks/module_utils/k8sbootstrap/kube/etcd.py."""

    cluster: _Text = ""
    data: bool = False
    changed: Annotated[int, Field(ge=0, lt=2**34)] = 0
    members: Annotated[Mapping[_Text, _Text], Field(max_length=_MANY)] = field(default_factory=dict)
    formed: bool = False
    api: Annotated[tuple[_Text, ...], Field(max_length=_MANY)] = ()
    joined: bool = False
    restoring: _Text = ""
    living: Living | None = None


@dataclass(frozen=True)
class EtcdGrowth:
    """Members that join etcd."""

    joins: tuple[str, ...]
    """Their hosts, in the order in which they join."""
    members: int
    """How many there are then."""

    @property
    def before(self) -> int:
        """How many there are now."""
        return self.members - len(self.joins)

    def line(self) -> str:
        """All of it in a sentence, with the number of members that may fail before and after."""
        order = " one after another" if len(self.joins) > 1 else ""
        return (
            f"etcd: {' and '.join(self.joins)} join{'' if len(self.joins) > 1 else 's'}{order}: "
            f"{count(self.before, 'member')}, of which {may_fail(self.before)} may fail, become "
            f"{self.members}, of which {may_fail(self.members)} may fail"
        )

    def to_json(self) -> dict[str, Any]:
        """The documented form: see docs/plan.md."""
        return {
            "joins": list(self.joins),
            "members": {"before": self.before, "after": self.members},
            "mayFail": {"before": may_fail(self.before), "after": may_fail(self.members)},
        }


def may_fail(members: int) -> int:
    """How many members may fail while the others still have a quorum."""
    return (members - 1) // 2


def even(plan: ClusterPlan) -> list[str]:
    """What an even number of members means, as a line; empty where it is odd."""
    number = len(plan.etcd_members)
    if number % 2:
        return []
    kind = "master" if all(host.is_master for host in plan.etcd_members) else "host of etcd"
    few = f"{may_fail(number)} may fail, no more than of {number - 1}"
    return [f"etcd has {number} members, an even number: {few}. Add a {kind} when you can, or remove one"]


@dataclass(frozen=True)
class EtcdProblem:
    """Why etcd must not be touched."""

    text: str
    """What the cluster has, and what the plan wants."""
    hint: str
    """What to do instead."""


@dataclass(frozen=True)
class EtcdVerdict:
    """Whether etcd may be started as planned."""

    problems: tuple[EtcdProblem, ...] = ()
    begins: tuple[str, ...] = ()
    """Members that may start without data: of a new cluster, or those that have never started."""
    joins: tuple[str, ...] = ()
    """Those of them that are to be added to the cluster that runs, in this order."""


def judge_etcd(plan: ClusterPlan, reports: Mapping[str, EtcdReport], restoring: str = "") -> EtcdVerdict:
    """Compare the planned members with what hosts have and living members report.

    Args:
        plan: The cluster.
        reports: Host to its report; hosts that did not answer are missing.
        restoring: Id of a restore that this is a part of.
    """
    members = {host.name: str(host.private_address) for host in plan.etcd_members}
    found = {host: asdict(report) for host, report in reports.items()}
    all_hosts = [host.name for host in plan.hosts]
    rules = shared_rules("kube.etcd_rules")
    verdict = rules.judge(members, plan.config.name, found, all_hosts, restoring=restoring)
    problems = tuple(EtcdProblem(**problem) for problem in verdict["problems"])
    return EtcdVerdict(problems, tuple(verdict["begin"]), tuple(verdict["join"]))

"""Are the planned etcd members those that the cluster has? Judged before any host is touched.

The rules are those of the role etcd, so that up and a plain ansible-playbook refuse the same things.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated

from pydantic import Field

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
    living: Living | None = None


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


def judge_etcd(plan: ClusterPlan, reports: Mapping[str, EtcdReport]) -> EtcdVerdict:
    """Compare the planned members with what hosts have and living members report.

    Args:
        plan: The cluster.
        reports: Host to its report; hosts that did not answer are missing.
    """
    members = {host.name: str(host.private_address) for host in plan.etcd_members}
    found = {host: asdict(report) for host, report in reports.items()}
    all_hosts = [host.name for host in plan.hosts]
    verdict = shared_rules("kube.etcd_rules").judge(members, plan.config.name, found, all_hosts)
    problems = tuple(EtcdProblem(**problem) for problem in verdict["problems"])
    return EtcdVerdict(problems, tuple(verdict["begin"]))

"""Asks hosts for their record and for what differs from it: one command per host over SSH."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from k8sbootstrap.host_code import program
from k8sbootstrap.hosts.ask import Question, Session, ask
from k8sbootstrap.plan.changes import Change
from k8sbootstrap.survey.etcd_members import EtcdReport

_TIMEOUT = 60.0
_Text = Annotated[str, Field(max_length=500, pattern="^[!-~]*$")]
_MANY = 100
_Seconds = Annotated[float, Field(ge=0, le=253402300799, allow_inf_nan=False)]


@dataclass(frozen=True)
class HostFinding:
    """What one host says: its record, and what differs from it now."""

    cluster: str
    """Name of the cluster that this program put there; empty on a bare host."""
    digests: Mapping[str, str]
    """Digest of each role that was applied completely."""
    drift: Mapping[str, tuple[Change, ...]]
    """By role: what somebody changed since, and restarts that a killed run did not come to."""
    routes: Mapping[str, str]
    """podCIDRs that this host routes to other nodes, by the node's address."""
    pod_cidrs: Mapping[str, str] | None
    """podCIDR of every node, by node; only from masters, None from other hosts."""
    api_error: str
    """Why a master could not ask its API server; empty when it could."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Every node's InternalIP, from masters."""
    own_range: str = ""
    """The podCIDR that the host's own pods get addresses from; empty where its pod network has none."""
    firewall: Mapping[str, list[str]] | None = None
    """What the last run opened in firewalld; None where that does not run."""
    made_with: Annotated[Mapping[_Text, _Text], Field(max_length=_MANY)] = field(default_factory=dict)
    """Values that can't be changed any more, by key of cluster.yaml."""
    cordoned: Mapping[_Text, _Text] = field(default_factory=dict)
    """Nodes that k8sbootstrap keeps pods off, and why, from the same master: see ``phases.CORDONING``."""
    certificates: Annotated[Mapping[_Text, _Seconds], Field(max_length=_MANY)] = field(default_factory=dict)
    """When certificates end that this program issued: name in the table to seconds since 1970."""
    etcd: EtcdReport = field(default_factory=EtcdReport)
    """What the host has of etcd."""


_FINDING = TypeAdapter(HostFinding)


def probe(host: str, session: Session) -> HostFinding:
    """Ask one host. Changes nothing there.

    Raises:
        HostError: The host has no usable Python, the probe failed there, or the connection broke.
        SudoError: The user cannot become root.
    """
    return ask(host, session, Question(script()), _FINDING, timeout=_TIMEOUT)


def script() -> bytes:
    """The program that hosts answer with."""
    return program(Path(str(resources.files("k8sbootstrap.hosts.scripts"))) / "record.py")

"""Asks hosts for their record and for what differs from it: one command per host over SSH."""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from k8sbootstrap.host_code import needed_by
from k8sbootstrap.hosts.ask import Question, Session, ask
from k8sbootstrap.plan.changes import Change
from k8sbootstrap.survey.etcd_members import EtcdReport

_LOADER = """\
import base64, json, sys, types, zlib
for name in ("ansible", "ansible.module_utils"):
    sys.modules[name] = types.ModuleType(name)
for name, source in json.loads(zlib.decompress(base64.b64decode({packed!r}))):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = []
    exec(compile(source, name, "exec"), module.__dict__)
"""
_TIMEOUT = 60.0
_Text = Annotated[str, Field(max_length=500, pattern="^[!-~]*$")]
_MANY = 100


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
    cordoned: tuple[str, ...] = ()
    """Nodes that an upgrade left cordoned, from the same master."""
    etcd: EtcdReport = field(default_factory=EtcdReport)
    """What the host has of etcd."""


_FINDING = TypeAdapter(HostFinding)


def probe(host: str, session: Session) -> HostFinding:
    """Ask one host. Changes nothing there.

    Raises:
        HostError: The host has no usable Python, the probe failed there, or the connection broke.
        SudoError: The user cannot become root.
    """
    return ask(host, session, Question(_script()), _FINDING, timeout=_TIMEOUT)


@cache
def _script() -> bytes:
    main = Path(str(resources.files("k8sbootstrap.hosts.scripts"))) / "record.py"
    files = {**needed_by(main), "host_probe": main}
    sources = [(name, path.read_text(encoding="utf-8")) for name, path in files.items()]
    packed = base64.b64encode(zlib.compress(json.dumps(sources).encode()))
    return _LOADER.format(packed=packed).encode()

"""The topology as boxes and arrows with coordinates, in pixels."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k8sbootstrap.formats.text import count, shortened
from k8sbootstrap.report.topology import ClusterHost, Topology

SHOWN = 20
"""Hosts drawn of one kind; where there are more, those that failed come first. The table of hosts has all."""
_BOX = (164, 58)
_FEWEST = 3
"""Columns that the groups' texts need on wide screens."""
_GAP = 12
_PAD = 14
_LINE = 16
_BETWEEN = 34
"""Height between two groups: room for the arrow."""
_NAME = 18
"""Characters of a name that a box has room for."""
_CHARACTER = 6.2
"""Average width of a character of a group's text."""
_MARKS = {"failed": "✕", "unreachable": "✕", "changed": "●", "ok": "✓"}


@dataclass(frozen=True)
class Box:
    """One host."""

    x: float
    y: float
    name: str
    address: str
    roles: str
    outcome: str
    mark: str
    title: str
    """All about it in one line."""


@dataclass(frozen=True)
class BoxGroup:
    """Hosts of one kind, or a load balancer."""

    y: float
    height: float
    title: str
    texts: tuple[str, ...]
    boxes: tuple[Box, ...]
    arrow: bool
    """Whether it uses the group above."""


@dataclass(frozen=True)
class Drawing:
    """The whole picture."""

    width: float
    height: float
    groups: tuple[BoxGroup, ...]
    between: float = _BETWEEN
    box_width: float = _BOX[0]
    box_height: float = _BOX[1]
    pad: float = _PAD
    line: float = _LINE


@dataclass(frozen=True)
class _Kind:
    title: str
    text: str
    members: Sequence[ClusterHost]


def draw_topology(topology: Topology, outcomes: Mapping[str, str], columns: int) -> Drawing:
    """Lay the cluster out.

    Args:
        topology: What to draw.
        outcomes: Per host how the run went on it, in one word.
        columns: Boxes side by side, at most.
    """
    kinds = _kinds(topology)
    columns = min(columns, max(_FEWEST, *(len(kind.members) for kind in kinds)))
    width = columns * _BOX[0] + (columns - 1) * _GAP + 2 * _PAD
    groups: list[BoxGroup] = []
    y = 0.0
    for kind in kinds:
        texts = tuple(textwrap.wrap(kind.text, int((width - 2 * _PAD) / _CHARACTER)))
        group = _group(kind, texts, outcomes, columns, y, arrow=bool(groups))
        groups.append(group)
        y += group.height + _BETWEEN
    return Drawing(width, y - _BETWEEN, tuple(groups))


def _kinds(topology: Topology) -> list[_Kind]:
    """What there is, each kind using the one before it."""
    etcd, masters, workers = topology.etcd_members, topology.masters, topology.workers
    spare = (len(etcd) - 1) // 2
    quorum = (
        f"etcd tolerates the loss of {spare} of {len(etcd)} members."
        if spare
        else "etcd does not tolerate the loss of a member."
    )
    own_etcd = bool(topology.etcd_hosts)
    kinds = []
    if own_etcd:
        kinds.append(_Kind(f"etcd: {count(len(etcd), 'member')}", quorum, topology.etcd_hosts))
    if masters:
        api = "Each runs an API server, scheduler and controller manager."
        text = api if own_etcd or not etcd else f"{api} {quorum}"
        kinds.append(_Kind(f"Control plane: {count(len(masters), 'master')}", text, masters))
    if topology.endpoint:
        kinds.append(
            _Kind("API endpoint", f"{topology.endpoint}: your load balancer for the API servers.", ())
        )
    if workers:
        how = {
            True: f"Each reaches the API servers through its own haproxy at 127.0.0.1:{topology.local_port}."
        }
        kinds.append(
            _Kind(
                f"Nodes: {count(len(workers), 'worker')}",
                how.get(topology.local_port is not None, ""),
                workers,
            )
        )
    return kinds


def _group(
    kind: _Kind, texts: tuple[str, ...], outcomes: Mapping[str, str], columns: int, y: float, *, arrow: bool
) -> BoxGroup:
    crowded = len(kind.members) > SHOWN
    members = sorted(kind.members, key=lambda member: crowded and _mark(outcomes, member) != "✕")[:SHOWN]
    left_out = len(kind.members) - len(members)
    if left_out:
        texts = (*texts, f"{left_out} more are in the table below.")
    top = y + _PAD + _LINE * (1 + len(texts)) + _GAP / 2
    boxes = tuple(
        _box(
            member,
            outcomes,
            _PAD + place % columns * (_BOX[0] + _GAP),
            top + place // columns * (_BOX[1] + _GAP),
        )
        for place, member in enumerate(members)
    )
    bottom = boxes[-1].y + _BOX[1] if boxes else top - _GAP / 2
    return BoxGroup(y, bottom + _PAD - y, kind.title, texts, boxes, arrow)


def _mark(outcomes: Mapping[str, str], member: ClusterHost) -> str:
    return _MARKS.get(outcomes.get(member.name, ""), "")


def _box(member: ClusterHost, outcomes: Mapping[str, str], x: float, y: float) -> Box:
    outcome = outcomes.get(member.name, "")
    roles = ", ".join(member.roles)
    parts = (member.name, member.address, roles, outcome)
    return Box(
        x=x,
        y=y,
        name=shortened(member.name, _NAME),
        address=member.address,
        roles=roles,
        outcome=outcome,
        mark=_mark(outcomes, member),
        title=", ".join(part for part in parts if part),
    )

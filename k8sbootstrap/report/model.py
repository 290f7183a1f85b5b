"""Everything that the page says, computed: the template only writes it down."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from k8sbootstrap.formats.text import count, duration, moment, some
from k8sbootstrap.plan.phases import title
from k8sbootstrap.report.changes import HostChanges, host_changes
from k8sbootstrap.report.checks import CheckTable, check_table
from k8sbootstrap.report.conformance import ConformanceTable, conformance_table
from k8sbootstrap.report.drawing import Drawing, draw_topology
from k8sbootstrap.report.failures import FailureCard, failure_cards
from k8sbootstrap.report.history import History, read_history
from k8sbootstrap.report.pace import SlowTask, TimedPart, parts, slowest_tasks
from k8sbootstrap.report.recorded import Recorded
from k8sbootstrap.report.runs import UNFINISHED
from k8sbootstrap.report.timeline import Timeline, draw_timeline
from k8sbootstrap.report.topology import Topology, read_topology
from k8sbootstrap.run.board import HostCount
from k8sbootstrap.run.failure import headline

_COLUMNS = (5, 2)
"""Boxes side by side in the topology on wide and on narrow screens."""
_SHOWN = 24
"""Hosts whose changes are listed at once; in larger clusters the others are folded away."""
_NAMES = 8
"""Hosts named in one line."""


@dataclass(frozen=True)
class HostLine:
    """One host in the table of hosts."""

    name: str
    address: str
    roles: str
    outcome: str
    ok: int
    changed: int
    skipped: int
    failed: int


@dataclass(frozen=True)
class Warned:
    """A warning, and where it was given."""

    text: str
    hosts: str


@dataclass(frozen=True)
class Page:
    """The whole report."""

    run: str
    command: str
    outcome: str
    facts: tuple[tuple[str, str], ...]
    """Label and value."""
    error: str
    """What the run ended with, unless the failures say it already."""
    next_step: str
    remarks: tuple[str, ...]
    """What to know of the run before reading on: that it only planned, and what its record lacks."""
    failures: tuple[FailureCard, ...]
    timeline: Timeline
    parts: tuple[TimedPart, ...]
    slowest: tuple[SlowTask, ...]
    drawings: tuple[Drawing, ...]
    """The topology for wide and for narrow screens; empty when the run kept no inventory."""
    hosts: tuple[HostLine, ...]
    changes_title: str
    changes: tuple[HostChanges, ...]
    more_changes: tuple[HostChanges, ...]
    """Hosts that are folded away."""
    unchanged: str
    """The hosts on which nothing changed."""
    checks: CheckTable | None
    conformance: ConformanceTable | None
    warnings: tuple[Warned, ...]


def build_page(recorded: Recorded) -> Page:
    """Compute the report of a run."""
    history = read_history(recorded.events)
    topology = read_topology(recorded.directory / "inventory")
    summary = recorded.summary
    failures = failure_cards(history)
    changes = host_changes(history)
    changed = {host.host for host in changes}
    lines = tuple(_host_lines(history, topology))
    unchanged = [line.name for line in lines if line.name not in changed]
    outcomes = {name: counts.progress for name, counts in history.board.hosts.items()}
    hint = "If nothing runs any more, run the same command again: it continues from there."
    return Page(
        run=recorded.id,
        command=recorded.command or "unknown command",
        outcome=summary.outcome if summary else UNFINISHED,
        facts=tuple(_facts(recorded, history, topology)),
        error=_error(recorded, history),
        next_step=summary.hint if summary else hint,
        remarks=tuple(_remarks(recorded, history)),
        failures=failures,
        timeline=draw_timeline(history),
        parts=parts(history),
        slowest=slowest_tasks(history),
        drawings=tuple(draw_topology(topology, outcomes, columns) for columns in _COLUMNS)
        if topology
        else (),
        hosts=lines,
        changes_title="What would change" if recorded.planned else "What changed",
        changes=changes[:_SHOWN],
        more_changes=changes[_SHOWN:],
        unchanged=f"{count(len(unchanged), 'host')}: {some(unchanged, _NAMES)}" if unchanged else "",
        checks=check_table(recorded.verify) if recorded.verify else None,
        conformance=conformance_table(recorded.conformance) if recorded.conformance else None,
        warnings=tuple(_warnings(history)),
    )


def _facts(recorded: Recorded, history: History, topology: Topology | None) -> Iterable[tuple[str, str]]:
    summary, counts = recorded.summary, history.board.hosts.values()
    yield "Cluster", recorded.cluster
    if summary:
        yield "Began", moment(datetime.fromisoformat(summary.started).timestamp())
    elif history.start:
        yield "Began", moment(history.start)
    yield "Took", duration(summary.seconds if summary else history.seconds)
    members = {member.name for member in topology.members} if topology else set()
    if counts or members:
        changed = sum(host.changed for host in counts)
        hosts = sum(bool(host.changed) for host in counts)
        label = "Would change" if recorded.planned else "Changed"
        yield "Hosts", str(len(members | set(history.hosts)))
        yield label, f"{count(changed, 'task')} on {count(hosts, 'host')}" if changed else "nothing"
    for name, version in topology.releases if topology else ():
        yield name.replace("kubernetes", "Kubernetes"), version
    if recorded.begun:
        yield "k8sbootstrap", recorded.begun.program
    yield "Run", recorded.id


def _error(recorded: Recorded, history: History) -> str:
    """What the run ended with; empty where that is what the failures say."""
    error = recorded.summary.error if recorded.summary else ""
    failures = history.board.fatal()
    return "" if failures and all(headline(failure) in error for failure in failures) else error


def _remarks(recorded: Recorded, history: History) -> Iterable[str]:
    if recorded.planned:
        yield ('Nothing was changed. Changes on this page are those that "k8sbootstrap up" would make.')
    if recorded.summary is None:
        at = history.board.current
        where = f" Last seen: {at.task or 'the beginning'} ({title(at.name)})." if at else ""
        if not at and history.steps:
            where = f" Last seen: {history.steps[-1].title}."
        yield f"The record has no end: the run still runs, or it was killed.{where}"
    if recorded.unreadable:
        yield (f"{count(recorded.unreadable, 'line')} of its events could not be read and is not shown here.")
    if not recorded.events:
        yield "It has no events."


def _host_lines(history: History, topology: Topology | None) -> Iterable[HostLine]:
    members = {member.name: member for member in topology.members} if topology else {}
    for name in dict.fromkeys([*members, *history.hosts]):
        member, counts = members.get(name), history.board.hosts.get(name, HostCount())
        yield HostLine(
            name=name,
            address=member.address if member else "",
            roles=", ".join(member.roles) if member else "",
            outcome="untouched" if counts.progress == "idle" else counts.progress,
            ok=counts.ok,
            changed=counts.changed,
            skipped=counts.skipped,
            failed=counts.failed,
        )


def _warnings(history: History) -> Iterable[Warned]:
    found: dict[str, dict[str, None]] = {}
    for work in history.works:
        for text in work.result.warnings if work.result else ():
            found.setdefault(text, {})[work.host] = None
    return (Warned(text, some(list(hosts), _NAMES)) for text, hosts in found.items())

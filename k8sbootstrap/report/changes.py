"""What changed: per host and task the changes, the services that were restarted, and the diffs."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from k8sbootstrap.formats.text import some
from k8sbootstrap.plan.changes import Change
from k8sbootstrap.plan.phases import title
from k8sbootstrap.report.diffs import Diff, read_diffs
from k8sbootstrap.report.history import History, HostTask

LINES = 20_000
"""Lines of diffs on a page; beyond them a browser gets slow."""
_INPUTS = 4
"""Inputs named that made a service restart."""


@dataclass(frozen=True)
class ShownDiff:
    """A diff on the page, or where on the page the same one is."""

    diff: Diff
    anchor: str
    """Its own place on the page, or that of the same diff on another host."""
    same_as: str
    """That other host; empty when the lines are shown here."""
    shown: bool
    """False when the page has no room for it."""


@dataclass(frozen=True)
class ShownChange:
    """One change."""

    text: str
    drift: bool
    """Whether it undoes what somebody did to the host."""
    because: str
    """Why, where that is worth saying: other inputs than last time, or what made a service restart."""


@dataclass(frozen=True)
class TaskChanges:
    """What one task changed on a host."""

    phase: str
    task: str
    role: str
    outcome: str
    changes: tuple[ShownChange, ...]
    restarted: tuple[str, ...]
    diffs: tuple[ShownDiff, ...]


@dataclass(frozen=True)
class HostChanges:
    """What changed on one host."""

    host: str
    tasks: tuple[TaskChanges, ...]

    @property
    def restarted(self) -> tuple[str, ...]:
        """Services that were restarted, each once."""
        return tuple(dict.fromkeys(service for task in self.tasks for service in task.restarted))

    @property
    def changes(self) -> int:
        """How many changes there are; a task that does not say what it changed counts as one."""
        return sum(max(1, len(task.changes)) for task in self.tasks)

    @property
    def drift(self) -> int:
        """How many of them undo what somebody did to the host."""
        return sum(change.drift for task in self.tasks for change in task.changes)


@dataclass
class _Page:
    """What of diffs is on the page already."""

    left: int
    """Lines that the page has room for."""
    places: dict[tuple[str, Diff], tuple[str, str]] = field(default_factory=dict)
    """Task and diff to the host that shows it and the place."""

    def show(self, work: HostTask, diff: Diff) -> ShownDiff:
        if not diff.lines:
            return ShownDiff(diff, "", "", shown=True)
        place = self.places.get((work.task, diff))
        if place is not None:
            return ShownDiff(diff, place[1], place[0], shown=False)
        if len(diff.lines) > self.left:
            return ShownDiff(diff, "", "", shown=False)
        self.left -= len(diff.lines)
        anchor = f"diff-{len(self.places) + 1}"
        self.places[work.task, diff] = (work.host, anchor)
        return ShownDiff(diff, anchor, "", shown=True)


def host_changes(history: History) -> tuple[HostChanges, ...]:
    """What changed on the hosts, in the order of the inventory; hosts without changes are left out."""
    works: dict[str, list[HostTask]] = {host: [] for host in history.hosts}
    for work in history.works:
        if work.result is not None and (work.outcome == "changed" or work.result.changes or work.result.diff):
            works.setdefault(work.host, []).append(work)
    page = _Page(LINES)
    return tuple(HostChanges(host, tuple(_tasks(page, done))) for host, done in works.items() if done)


def _tasks(page: _Page, works: Iterable[HostTask]) -> Iterable[TaskChanges]:
    for work in works:
        result = work.result
        assert result is not None  # noqa: S101
        yield TaskChanges(
            phase=title(result.phase),
            task=work.task,
            role=work.role,
            outcome=work.outcome,
            changes=tuple(_change(change) for change in result.changes),
            restarted=tuple(change.name for change in result.changes if change.action == "restart"),
            diffs=tuple(page.show(work, diff) for diff in read_diffs(result.diff)),
        )


def _change(change: Change) -> ShownChange:
    reasons = [f"because of {some(change.why, _INPUTS)}"] if change.why else []
    reasons += ["the configuration changed"] if "configuration" in change.causes else []
    reasons += ["the certificate was renewed"] if "renewal" in change.causes else []
    return ShownChange(change.text, drift="drift" in change.causes, because="; ".join(reasons))

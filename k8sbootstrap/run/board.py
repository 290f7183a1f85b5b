"""The state of a run: phases, hosts and failures, computed from events. Displays and the summary read it."""

from dataclasses import dataclass, field
from typing import Literal

from k8sbootstrap.run.events import Event, PhaseDue, PlayStarted, Stats, TaskResult, TaskStarted

Progress = Literal["idle", "ok", "changed", "failed", "unreachable"]


@dataclass
class HostCount:
    """Results of one host, in one phase or altogether."""

    ok: int = 0
    """Tasks that found everything as it should be."""
    changed: int = 0
    skipped: int = 0
    failed: int = 0
    """Failures that were not ignored."""
    unreachable: bool = False
    restarts: int = 0
    """Services that were restarted; a reload is none."""
    new: bool = False
    """Whether services were started that the host did not have before."""

    def add(self, result: TaskResult) -> None:
        """Count one more result."""
        if result.status == "unreachable":
            self.unreachable = True
        elif result.status == "failed":
            self.failed += not result.ignored
        elif result.status == "skipped":
            self.skipped += 1
        elif result.status == "changed":
            self.changed += 1
            units = [change for change in result.changes if change.kind == "unit"]
            self.restarts += sum(change.action == "restart" for change in units)
            self.new |= any(change.action == "start" and "new" in change.causes for change in units)
        else:
            self.ok += 1

    @property
    def progress(self) -> Progress:
        """The one word for these results."""
        if self.unreachable:
            return "unreachable"
        if self.failed:
            return "failed"
        if self.changed:
            return "changed"
        return "ok" if self.ok or self.skipped else "idle"


@dataclass
class PhaseState:
    """One phase so far."""

    name: str
    started: float
    """Seconds since the epoch."""
    finished: float | None = None
    task: str = ""
    """The task that began last."""
    hosts: dict[str, HostCount] = field(default_factory=dict)
    """Hosts that take part, in the order of the inventory."""

    @property
    def seconds(self) -> float:
        """How long it took; 0 while it runs."""
        return 0.0 if self.finished is None else self.finished - self.started


@dataclass
class Board:
    """Everything known about the playbooks of a run."""

    phases: dict[str, PhaseState] = field(default_factory=dict)
    """In the order they began."""
    hosts: dict[str, HostCount] = field(default_factory=dict)
    failures: list[TaskResult] = field(default_factory=list)
    """Failures that were not ignored, and unreachable hosts, in order of time."""
    changed: list[TaskResult] = field(default_factory=list)
    """Results that changed something, or would change it in check mode, in order of time."""
    stats: Stats | None = None
    """Ansible's final statistics; None until a playbook ended."""

    @property
    def current(self) -> PhaseState | None:
        """The phase that runs."""
        last = next(reversed(self.phases.values()), None)
        return last if last is not None and last.finished is None else None

    def apply(self, event: Event) -> None:
        """Update the state with one event."""
        if isinstance(event, PlayStarted):
            self._begin(event)
        elif isinstance(event, TaskStarted) and event.phase in self.phases:
            self.phases[event.phase].task = event.task
        elif isinstance(event, TaskResult):
            self._count(event)
        elif isinstance(event, PhaseDue):
            self._close(event.time)
        elif isinstance(event, Stats):
            self._close(event.time)
            self.stats = event

    def fatal(self) -> list[TaskResult]:
        """The last failure of every host that failed in the end.

        A failure that the playbook itself handled (``rescue``) is not one of them, by Ansible's statistics.
        """
        last = {result.host: result for result in self.failures}
        if self.stats is None:
            return list(last.values())
        lost = {host for host, count in self.stats.hosts.items() if count.failures or count.unreachable}
        return [result for host, result in last.items() if host in lost]

    def _begin(self, event: PlayStarted) -> None:
        current = self.current
        if current is None or current.name != event.phase:
            self._close(event.time)
            self.phases.setdefault(event.phase, PhaseState(event.phase, event.time)).finished = None
        for host in event.hosts:
            self.phases[event.phase].hosts.setdefault(host, HostCount())
            self.hosts.setdefault(host, HostCount())

    def _count(self, event: TaskResult) -> None:
        if event.phase in self.phases:
            self.phases[event.phase].hosts.setdefault(event.host, HostCount()).add(event)
        self.hosts.setdefault(event.host, HostCount()).add(event)
        if event.changes:
            self.changed.append(event)
        if event.status == "unreachable" or (event.status == "failed" and not event.ignored):
            self.failures.append(event)

    def _close(self, time: float) -> None:
        current = self.current
        if current is not None:
            current.finished = time

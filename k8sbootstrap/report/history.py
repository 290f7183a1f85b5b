"""The course of a run, put together from its events: steps, stages of playbooks, what ran on which host."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from k8sbootstrap.plan.phases import title
from k8sbootstrap.run.board import Board
from k8sbootstrap.run.events import (
    Event,
    HookFinished,
    HookStarted,
    PhaseDue,
    PlayStarted,
    Stats,
    StepFinished,
    StepNote,
    StepStarted,
    TaskResult,
    TaskStarted,
)
from k8sbootstrap.run.failure import hook_title


@dataclass
class FinishedStep:
    """Something that the program did itself, or a hook of the user."""

    title: str
    start: float
    """Seconds since the epoch, as all times here."""
    end: float
    outcome: Literal["ok", "failed", "ignored", "unfinished"] = "unfinished"
    notes: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True)
class HostTask:
    """A task on one host."""

    host: str
    task: str
    role: str
    start: float
    end: float
    result: TaskResult | None
    """None when it had not ended when the record did."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start

    @property
    def outcome(
        self,
    ) -> Literal["ok", "changed", "failed", "skipped", "unreachable", "ignored", "unfinished"]:
        """How it ended, in one word."""
        if self.result is None:
            return "unfinished"
        if self.result.status == "failed" and self.result.ignored:
            return "ignored"
        return self.result.status


@dataclass
class Turn:
    """One task on all of its hosts: the next begins when the last of them is done."""

    start: float
    end: float
    last: str = ""
    """The host that ended last, for which all others waited; empty when no host had anything to do."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass
class Stage:
    """A phase of a playbook from its beginning to its end; a phase that comes twice is two stages."""

    phase: str
    number: int
    """1 for the first."""
    start: float
    end: float
    works: list[HostTask] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What readers call the phase."""
        return title(self.phase)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start

    @property
    def waits(self) -> dict[str, float]:
        """Seconds that the phase waited for each host: the sum is what the phase took for its tasks."""
        found: dict[str, float] = {}
        for turn in self.turns:
            if turn.last:
                found[turn.last] = found.get(turn.last, 0.0) + turn.seconds
        return found


@dataclass
class History:
    """Everything in the order in which it happened."""

    start: float = 0.0
    end: float = 0.0
    steps: list[FinishedStep] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    board: Board = field(default_factory=Board)

    @property
    def seconds(self) -> float:
        """From the first event to the last."""
        return self.end - self.start

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host that took part, in the order of the inventory."""
        return tuple(self.board.hosts)

    @property
    def works(self) -> Iterable[HostTask]:
        """All tasks on all hosts."""
        return (work for stage in self.stages for work in stage.works)


class _Reader:
    """Takes events one by one."""

    def __init__(self) -> None:
        self.history = History()
        self._open = False
        """Whether the last stage goes on."""
        self._task: TaskStarted | None = None
        """The task of that stage that began last."""
        self._waiting: dict[str, None] = {}
        """Hosts that have not said yet how that task went."""
        self._members: tuple[str, ...] = ()

    def take(self, event: Event) -> None:
        history = self.history
        history.start = min(history.start or event.time, event.time)
        history.end = max(history.end, event.time)
        history.board.apply(event)
        self._take_step(event)
        if isinstance(event, PlayStarted):
            self._begin(event)
        elif isinstance(event, TaskStarted):
            self._task, self._waiting = event, dict.fromkeys(self._members)
            if history.stages:
                history.stages[-1].turns.append(Turn(event.time, event.time))
        elif isinstance(event, TaskResult):
            self._add(event)
        elif isinstance(event, PhaseDue | Stats):
            self._close(event.time)

    def _take_step(self, event: Event) -> None:
        steps = self.history.steps
        if isinstance(event, StepStarted):
            steps.append(FinishedStep(event.title, event.time, event.time))
        elif isinstance(event, HookStarted):
            steps.append(FinishedStep(hook_title(event), event.time, event.time))
        elif isinstance(event, StepNote) and steps:
            steps[-1].notes.append(event.text)
        elif isinstance(event, StepFinished) and steps:
            steps[-1].end, steps[-1].outcome = event.time, event.outcome
        elif isinstance(event, HookFinished) and steps:
            self._end_hook(steps[-1], event)

    def finish(self) -> History:
        """Give what was running when the events ended the end that it is known to have reached."""
        history = self.history
        for step in history.steps:
            if step.outcome == "unfinished":
                step.end = history.end
        if self._task is not None and history.stages:
            task = self._task
            for host in self._waiting:
                self._put(HostTask(host, task.task, task.role, task.time, history.end, None))
        return history

    def _begin(self, event: PlayStarted) -> None:
        stages = self.history.stages
        self._members = event.hosts
        if not self._open or stages[-1].phase != event.phase:
            self._close(event.time)
            stages.append(Stage(event.phase, len(stages) + 1, event.time, event.time))
            self._open = True

    def _end_hook(self, step: FinishedStep, event: HookFinished) -> None:
        step.end = event.time
        step.outcome = "ok"
        if event.failure:
            step.outcome = "ignored" if event.ignored else "failed"
            step.notes += [event.failure, *event.stderr]

    def _add(self, event: TaskResult) -> None:
        self._waiting.pop(event.host, None)
        if self.history.stages:
            stage = self.history.stages[-1]
            start = max(stage.start, event.time - event.seconds)
            self._put(HostTask(event.host, event.task, event.role, start, event.time, event))
        if event.status in ("failed", "unreachable") and not event.ignored:
            self._members = tuple(name for name in self._members if name != event.host)

    def _put(self, work: HostTask) -> None:
        stage = self.history.stages[-1]
        stage.works.append(work)
        stage.end = work.end
        if stage.turns and work.outcome != "skipped":
            stage.turns[-1].end, stage.turns[-1].last = work.end, work.host

    def _close(self, time: float) -> None:
        if self._open:
            self.history.stages[-1].end = time
        self._open, self._task, self._waiting = False, None, {}


def read_history(events: Iterable[Event]) -> History:
    """Put the events of a run together."""
    reader = _Reader()
    for event in events:
        reader.take(event)
    return reader.finish()

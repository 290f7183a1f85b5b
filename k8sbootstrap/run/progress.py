"""What the user sees while a run goes, as lines of text. ``live`` shows the same on a terminal as a table."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console

from k8sbootstrap.formats.text import count
from k8sbootstrap.plan.phases import title
from k8sbootstrap.run.board import Board, PhaseState
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
    TaskRetried,
    TaskStarted,
)
from k8sbootstrap.run.failure import describe, describe_hook, hook_title
from k8sbootstrap.run.rate_limit import RateLimit

TASKS = 1
"""Verbosity from which every task is shown."""
ANSIBLE = 2
"""Verbosity from which Ansible's own output is shown."""


class Reporter:
    """Shows a run as plain lines: a phase's start, each host's result of it, failures in full at once.

    Use it as a context manager around the run.

    Args:
        console: Where to.
        verbosity: How often -v was given.
        started: When the run began, in seconds since the epoch; now, if None.
    """

    def __init__(self, console: Console, verbosity: int = 0, started: float | None = None) -> None:
        self.console = console
        self.verbosity = verbosity
        self.started = time.time() if started is None else started
        self._phase: PhaseState | None = None
        self._warned: set[str] = set()
        self._step = ""
        self._pace = RateLimit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A block in which the terminal is free for a question."""
        yield

    def handle(self, event: Event, board: Board) -> None:
        """Show ``event``, which ``board`` has taken into account already."""
        if isinstance(event, StepStarted):
            self.step_started(event)
        elif isinstance(event, StepNote):
            self.step_note(event)
        elif isinstance(event, StepFinished):
            self.step_finished(event)
        elif isinstance(event, PhaseDue | PlayStarted | Stats):
            self._follow_phase(event.time, board)
        elif isinstance(event, HookStarted):
            self.hook_started(event, board)
        elif isinstance(event, HookFinished):
            self.hook_finished(event)
        elif isinstance(event, TaskResult):
            self._result(event)
        elif self.verbosity >= TASKS and isinstance(event, TaskStarted):
            self.line(event.time, f"{title(event.phase)}: {event.task} ...")
        elif self.verbosity >= TASKS and isinstance(event, TaskRetried):
            self.line(
                event.time,
                f"{title(event.phase)}: {event.host} waits: {event.task} ({event.attempt}/{event.retries})",
            )

    def log(self, text: str) -> None:
        """Show a piece of Ansible's own output, if the user asked for that."""
        if self.verbosity >= ANSIBLE:
            self.console.print(text.rstrip("\n"), markup=False, style="dim")

    def hook_output(self, line: str) -> None:
        """Show a line of what a hook says, if the user asked for more."""
        if self.verbosity >= TASKS:
            self.console.print(f"    {line}", markup=False, style="dim")

    def status(self, text: str) -> None:
        """Show what the running step does now, one line every 10 s at most. Any thread may call this."""
        if text and self._pace.is_time():
            self.line(time.time(), f"{self._step}: {text}")

    def step_started(self, event: StepStarted) -> None:
        """A step of the program itself begins."""
        self._step, self._pace = event.title, RateLimit()
        self.line(event.time, event.title)

    def step_note(self, event: StepNote) -> None:
        """A step of the program itself has a message."""
        self.line(event.time, f"{event.title}: {event.text}")

    def step_finished(self, event: StepFinished) -> None:
        """A step of the program itself ended."""
        if event.outcome == "failed":
            self.line(event.time, f"{event.title}: failed", style="red")

    def hook_started(self, event: HookStarted, board: Board) -> None:  # noqa: ARG002
        """A command of the user begins."""
        self.line(event.time, hook_title(event))

    def hook_finished(self, event: HookFinished) -> None:
        """A command of the user ended."""
        if event.failure:
            self.line(event.time, describe_hook(event), style="yellow" if event.ignored else "red")

    def phase_started(self, phase: PhaseState) -> None:
        """A phase begins."""
        self.line(phase.started, title(phase.name))

    def phase_finished(self, phase: PhaseState, at: float) -> None:
        """A phase ended on all of its hosts."""
        for host, tasks in phase.hosts.items():
            changed = f" ({count(tasks.changed, 'task')})"
            word = tasks.progress + (changed if tasks.progress == "changed" else "")
            style = "red" if tasks.progress in {"failed", "unreachable"} else ""
            if tasks.progress != "idle":
                self.line(at, f"{title(phase.name)}: {host} {word}", style=style)

    def line(self, at: float, text: str, style: str = "") -> None:
        """One line with the time since the run began."""
        stamp = f"[{max(0.0, at - self.started):5.1f}s]"
        self.console.print(f"{stamp} {text}", markup=False, style=style)

    def _follow_phase(self, at: float, board: Board) -> None:
        if board.current is self._phase:
            return
        if self._phase is not None:
            self.phase_finished(self._phase, at)
        self._phase = board.current
        if self._phase is not None:
            self.phase_started(self._phase)

    def _result(self, event: TaskResult) -> None:
        if event.status == "unreachable" or (event.status == "failed" and not event.ignored):
            self.line(event.time, describe(event), style="red")
            return
        if self.verbosity >= TASKS and event.status != "skipped":
            text = f"{title(event.phase)}: {event.host} {event.status}: {event.task} ({event.seconds:.1f}s)"
            self.line(event.time, "\n    ".join([text, *(change.text for change in event.changes)]))
        for warning in event.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                self.line(event.time, f"{event.host}: warning: {warning}", style="yellow")

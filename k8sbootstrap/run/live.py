"""The progress display of a terminal: steps as they end, and a table of phases by hosts that moves."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from k8sbootstrap.plan.phases import PHASES, title
from k8sbootstrap.run.board import Board, HostCount, PhaseState
from k8sbootstrap.run.events import (
    Event,
    HookFinished,
    HookStarted,
    Stats,
    StepFinished,
    StepNote,
    StepStarted,
)
from k8sbootstrap.run.failure import hook_title
from k8sbootstrap.run.progress import Reporter

_TITLE_WIDTH = 20
_TIME_WIDTH = 9
_PADDING = 2
_REFRESHES = 4
"""Per second."""
_OF_STEPS_AND_HOOKS = (StepStarted, StepNote, StepFinished, HookStarted, HookFinished)
"""Events that show their own progress."""


class _Elapsed:
    """Text of a time that goes on."""

    def __init__(self, since: float) -> None:
        self._since = since

    def __rich__(self) -> Text:
        return Text(f"{time.time() - self._since:.0f}s", style="dim")


class LiveReporter(Reporter):
    """Shows a run on a terminal."""

    def __init__(self, console: Console, verbosity: int = 0, started: float | None = None) -> None:
        super().__init__(console, verbosity, started)
        self._live = Live(console=console, refresh_per_second=_REFRESHES, transient=False)
        self._moves: StepStarted | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A block in which the terminal is free for a question."""
        self._live.update(Text(""))
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def handle(self, event: Event, board: Board) -> None:
        """Show ``event``, which ``board`` has taken into account already."""
        super().handle(event, board)
        if isinstance(event, Stats):
            self.console.print(self._table(board))
            self._live.update(Text(""))
        elif board.phases and not isinstance(event, _OF_STEPS_AND_HOOKS):
            self._live.update(self._table(board))

    def step_started(self, event: StepStarted) -> None:
        """Show the step as the one thing that moves."""
        self._moves = event
        self.status("")

    def status(self, text: str) -> None:
        """Show what the running step does now, beside its title."""
        if self._moves is not None:
            self._live.update(_moving(self._moves.title, self._moves.time, text))

    def step_note(self, event: StepNote) -> None:
        """A line under the step, above its title while it runs."""
        self.console.print(Text(f"  {event.text}", style="dim"))

    def step_finished(self, event: StepFinished) -> None:
        """Leave a line behind."""
        self._moves = None
        self._leave(event.title, event.seconds, good=event.outcome == "ok")
        self._live.update(Text(""))

    def hook_started(self, event: HookStarted, board: Board) -> None:
        """Show the hook below the phases that are done."""
        row = _moving(hook_title(event), event.time)
        between = board.phases and board.stats is None
        self._live.update(Group(self._table(board), row) if between else row)

    def hook_finished(self, event: HookFinished) -> None:
        """Leave a line behind."""
        if event.failure:
            super().hook_finished(event)
        else:
            self._leave(hook_title(event), event.seconds, good=True)
        self._live.update(Text(""))

    def phase_started(self, phase: PhaseState) -> None:
        """The table shows it."""

    def phase_finished(self, phase: PhaseState, at: float) -> None:
        """The table shows it."""

    def _leave(self, title: str, seconds: float, *, good: bool) -> None:
        mark = Text("✓", style="green") if good else Text("✗", style="red")
        self.console.print(Text.assemble(mark, f" {title} ", (f"{seconds:.1f}s", "dim")))

    def _table(self, board: Board) -> RenderableType:
        hosts = list(board.hosts)
        room = self.console.width - _TITLE_WIDTH - _TIME_WIDTH - 2 * _PADDING
        wide = sum(len(host) + _PADDING for host in hosts) <= room
        table = Table(box=None, padding=(0, _PADDING, 0, 0), show_header=wide, header_style="dim")
        table.add_column("", width=_TITLE_WIDTH, no_wrap=True)
        for host in hosts if wide else [""]:
            table.add_column(host, no_wrap=True)
        table.add_column("", justify="right", no_wrap=True)
        names = [phase.name for phase in PHASES]
        names += [name for name in board.phases if name not in names]
        for name in names if board.phases.keys() & set(names[: len(PHASES)]) else board.phases:
            table.add_row(*self._row(name, board.phases.get(name), hosts, wide=wide))
        current = board.current
        task = (
            Text(f"  {current.task}", style="dim", no_wrap=True, overflow="ellipsis") if current else Text("")
        )
        return Group(table, task)

    def _row(
        self, name: str, phase: PhaseState | None, hosts: list[str], *, wide: bool
    ) -> Iterator[RenderableType]:
        if phase is None:
            yield Text(f"  {title(name)}", style="dim")
            return
        running = phase.finished is None
        failed = any(count.progress in {"failed", "unreachable"} for count in phase.hosts.values())
        done = Text("✗ ", style="red") if failed else Text("✓ ", style="green")
        yield Spinner("dots", Text(title(name))) if running else done.append(title(name), style="default")
        if wide:
            for host in hosts:
                yield _cell(phase.hosts.get(host), running=running)
        else:
            yield _tally(phase)
        yield _Elapsed(phase.started) if running else Text(f"{phase.seconds:.0f}s", style="dim")


def _moving(title: str, since: float, text: str = "") -> Table:
    """A line for something in progress, and what it does now."""
    row = Table.grid(padding=(0, 1))
    row.add_row(Spinner("dots"), Text(title), _Elapsed(since), Text(text, style="dim"))
    return row


def _cell(count: HostCount | None, *, running: bool) -> Text:
    """One host in one phase."""
    if count is None or (count.progress == "idle" and not running):
        return Text("–", style="dim")  # noqa: RUF001 - a dash for "takes no part"
    if count.progress in {"failed", "unreachable"}:
        return Text("✗", style="red")
    changed = Text(f" {count.changed}", style="yellow") if count.changed else Text("")
    return Text("…" if running else "✓", style="dim" if running else "green").append_text(changed)


def _tally(phase: PhaseState) -> Text:
    """All hosts in one phase, where there is no room for a column each."""
    words = [count.progress for count in phase.hosts.values()]
    failed = words.count("failed") + words.count("unreachable")
    good = words.count("ok") + words.count("changed")
    return Text(f"{good} ok" + (f", {failed} failed" if failed else ""), style="red" if failed else "dim")


def reporter_for(console: Console, verbosity: int) -> Reporter:
    """The display that suits ``console``: the table on a terminal that can show it, lines elsewhere."""
    fancy = console.is_terminal and not console.is_dumb_terminal and console.encoding.startswith("utf")
    return LiveReporter(console, verbosity) if fancy else Reporter(console, verbosity)

"""The timeline: who worked when. Places are percentages of the width, so that any page can hold it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from k8sbootstrap.formats.text import clock, count, duration
from k8sbootstrap.report.history import FinishedStep, History, HostTask, Turn

SHOWN = 24
"""Hosts shown at once; in larger clusters the others are folded away."""
_CONTROLLER = "k8sbootstrap"
"""Name of the row of what the program does itself."""
_THINNEST = 0.2
"""Percent: a bar of a task that took no time can still be seen."""
_ONE_STRETCH = 0.5
"""Seconds between two tasks that are Ansible's own."""
_TICKS = 6
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
"""Distances of marks on the time axis, in seconds."""
_LEGEND = {
    "slowest": "all others waited for this host",
    "changed": "changed something",
    "ok": "nothing to change",
    "step": "the program itself, or a hook",
    "failed": "failed",
    "unreachable": "could not be reached",
    "ignored": "failed, failure ignored",
    "unfinished": "did not end",
}
"""Kinds of bars, in the order in which the legend names them."""
_LAST_TICK = 94.0
"""Percent: marks beyond have no room for their label."""


@dataclass(frozen=True)
class Bar:
    """A stretch of time."""

    left: float
    """Percent."""
    width: float
    kind: str
    """How it ended, as in ``Work.outcome``; ``step`` for a step that went well; ``slowest`` for a wait."""
    title: str
    """All about it in one line."""


@dataclass(frozen=True)
class Row:
    """One host, or the program itself."""

    name: str
    summary: str
    bars: tuple[Bar, ...]
    slowest: tuple[Bar, ...]
    """When everything waited for this host."""


@dataclass(frozen=True)
class Label:
    """Text at a place of the width."""

    left: float
    width: float
    text: str


@dataclass(frozen=True)
class Timeline:
    """The whole picture."""

    rows: tuple[Row, ...]
    more: tuple[Row, ...]
    """Hosts that are folded away."""
    phases: tuple[Label, ...]
    ticks: tuple[Label, ...]
    legend: tuple[tuple[str, str], ...]
    """The kinds of bars that are there, and what they mean."""


class _Scale:
    """From times to percentages."""

    def __init__(self, history: History) -> None:
        self._start = history.start
        self._seconds = max(history.seconds, 0.001)

    def bar(self, start: float, end: float, kind: str, title: str) -> Bar:
        left = min(100 * max(0.0, start - self._start) / self._seconds, 100 - _THINNEST)
        width = min(max(100 * (end - start) / self._seconds, _THINNEST), 100 - left)
        return Bar(round(left, 3), round(width, 3), kind, title)

    def clock(self, time: float) -> str:
        return clock(time - self._start)


def draw_timeline(history: History) -> Timeline:
    """Lay out a run."""
    scale = _Scale(history)
    waits = _waits(history)
    works: dict[str, list[HostTask]] = {host: [] for host in history.hosts}
    for work in history.works:
        if work.outcome != "skipped":
            works.setdefault(work.host, []).append(work)
    rows = [_host_row(scale, host, done, waits.get(host, [])) for host, done in works.items()]
    first = _most_telling(works, waits)
    rows = [*_controller_rows(scale, history.steps), *rows]
    kinds = {bar.kind for row in rows for bar in (*row.bars, *row.slowest)}
    return Timeline(
        rows=tuple(row for row in rows if row.name in first),
        more=tuple(row for row in rows if row.name not in first),
        phases=tuple(
            Label(bar.left, bar.width, f"{stage.number} {stage.title}")
            for stage in history.stages
            for bar in [scale.bar(stage.start, stage.end, "", "")]
        ),
        ticks=tuple(_ticks(history.seconds)),
        legend=tuple((kind, text) for kind, text in _LEGEND.items() if kind in kinds),
    )


def _waits(history: History) -> dict[str, list[Turn]]:
    """Per host the stretches in which everything waited for it; what follows on is one stretch."""
    found: dict[str, list[Turn]] = {}
    before = Turn(0.0, 0.0)
    for turn in (turn for stage in history.stages for turn in stage.turns if turn.last):
        if turn.last == before.last and turn.start - before.end < _ONE_STRETCH:
            before.end = turn.end
        else:
            before = replace(turn)
            found.setdefault(turn.last, []).append(before)
    return found


def _most_telling(works: dict[str, list[HostTask]], waits: dict[str, list[Turn]]) -> set[str]:
    """The hosts to show: those that failed, those that everything waited for longest, then the busiest."""

    def rank(host: str) -> tuple[bool, float, float]:
        troubled = any(work.outcome in {"failed", "unreachable", "unfinished"} for work in works[host])
        waited = sum(turn.seconds for turn in waits.get(host, ()))
        return troubled, waited, sum(work.seconds for work in works[host])

    return {_CONTROLLER, *sorted(works, key=rank, reverse=True)[:SHOWN]}


def _controller_rows(scale: _Scale, steps: list[FinishedStep]) -> Iterable[Row]:
    bars = tuple(
        scale.bar(
            step.start,
            step.end,
            "step" if step.outcome == "ok" else step.outcome,
            f"{step.title}: {step.outcome}, {duration(step.seconds)} from {scale.clock(step.start)}",
        )
        for step in steps
    )
    if bars:
        spent = duration(sum(step.seconds for step in steps))
        yield Row(_CONTROLLER, f"{count(len(bars), 'step')}, {spent}", bars, ())


def _host_row(scale: _Scale, host: str, works: list[HostTask], waits: list[Turn]) -> Row:
    bars = tuple(
        scale.bar(
            work.start,
            work.end,
            work.outcome,
            f"{host}: {work.task}{f' ({work.role})' if work.role else ''}: {work.outcome}, "
            f"{duration(work.seconds)} from {scale.clock(work.start)}",
        )
        for work in works
    )
    slowest = tuple(
        scale.bar(turn.start, turn.end, "slowest", f"all waited for {host}: {duration(turn.seconds)}")
        for turn in waits
    )
    busy = duration(sum(work.seconds for work in works))
    return Row(host, f"{count(len(bars), 'task')}, busy for {busy}", bars, slowest)


def _ticks(seconds: float) -> Iterable[Label]:
    step = next((step for step in _STEPS if seconds / step <= _TICKS), _STEPS[-1])
    for second in range(0, int(seconds) + 1, step):
        left = 100 * second / max(seconds, 0.001)
        if left <= _LAST_TICK:
            yield Label(round(left, 3), 0.0, clock(second))

"""Where the time went: steps and phases as a table, and the slowest tasks."""

from dataclasses import dataclass

from k8sbootstrap.formats.text import clock, count, duration
from k8sbootstrap.report.history import FinishedStep, History, Stage

SLOWEST = 15
"""Tasks in the list of the slowest."""


@dataclass(frozen=True)
class TimedPart:
    """A step or a phase."""

    number: str
    """A phase's number in the timeline; empty for a step of the program itself."""
    title: str
    began: str
    took: str
    share: float
    """Percent of the whole run."""
    outcome: str
    waited_for: str
    """The host that the others waited for longest, and its longest task; empty for steps."""
    notes: tuple[str, ...]


@dataclass(frozen=True)
class SlowTask:
    """One of the slowest tasks."""

    task: str
    phase: str
    host: str
    took: str
    outcome: str


def parts(history: History) -> tuple[TimedPart, ...]:
    """Steps and phases in the order in which they began."""
    found: list[tuple[float, TimedPart]] = [(step.start, _step(history, step)) for step in history.steps]
    found += [(stage.start, _stage(history, stage)) for stage in history.stages]
    return tuple(part for _, part in sorted(found, key=lambda pair: pair[0]))


def slowest_tasks(history: History) -> tuple[SlowTask, ...]:
    """The tasks that took longest on one host."""
    works = [(work, stage) for stage in history.stages for work in stage.works if work.outcome != "skipped"]
    works.sort(key=lambda pair: -pair[0].seconds)
    return tuple(
        SlowTask(work.task, stage.title, work.host, duration(work.seconds), work.outcome)
        for work, stage in works[:SLOWEST]
    )


def _step(history: History, step: FinishedStep) -> TimedPart:
    return TimedPart(
        number="",
        title=step.title,
        began=clock(step.start - history.start),
        took=duration(step.seconds),
        share=_share(step.seconds, history),
        outcome=step.outcome,
        waited_for="",
        notes=tuple(step.notes),
    )


def _stage(history: History, stage: Stage) -> TimedPart:
    outcomes = [work.outcome for work in stage.works]
    failed = sum(outcome in {"failed", "unreachable"} for outcome in outcomes)
    changed = len({work.host for work in stage.works if work.outcome == "changed"})
    if failed:
        outcome = count(failed, "failure")
    elif "unfinished" in outcomes:
        outcome = "unfinished"
    else:
        outcome = f"{count(changed, 'host')} changed" if changed else "ok"
    return TimedPart(
        number=str(stage.number),
        title=stage.title,
        began=clock(stage.start - history.start),
        took=duration(stage.seconds),
        share=_share(stage.seconds, history),
        outcome=outcome,
        waited_for=_waited_for(stage),
        notes=(),
    )


def _waited_for(stage: Stage) -> str:
    if not stage.waits:
        return ""
    host, waited = max(stage.waits.items(), key=lambda item: item[1])
    longest = max((work for work in stage.works if work.host == host), key=lambda work: work.seconds)
    return (
        f"waited longest for {host} ({duration(waited)}), longest task: {longest.task} "
        f"({duration(longest.seconds)})"
    )


def _share(seconds: float, history: History) -> float:
    return round(min(100.0, 100 * seconds / max(history.seconds, 0.001)), 1)

"""Which runs a cluster's state directory holds, and the one that the user means."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from k8sbootstrap.errors import StateError
from k8sbootstrap.formats.text import duration
from k8sbootstrap.run.events import RunStarted, parse
from k8sbootstrap.run.record import RUN_ID, Summary
from k8sbootstrap.state import State

UNFINISHED = "unfinished"
"""Outcome of a run whose record has no summary: it goes on still, or it was killed."""
_SUMMARY = TypeAdapter(Summary)


@dataclass(frozen=True)
class RecordedRun:
    """A run in the state directory."""

    directory: Path
    command: str
    """Empty when its record does not say."""
    outcome: str
    seconds: float | None
    """None when it is not known."""

    @property
    def id(self) -> str:
        """Its name: when it began, and a random part."""
        return self.directory.name

    def __str__(self) -> str:
        took = "" if self.seconds is None else f", {duration(self.seconds)}"
        return f"{self.command or 'unknown command'}: {self.outcome}{took}"


def read_summary(directory: Path) -> Summary | None:
    """A run's ``summary.json``; None when it has none that can be read."""
    try:
        return _SUMMARY.validate_json((directory / "summary.json").read_bytes())
    except (OSError, ValidationError):
        return None


def list_runs(state: State) -> list[RecordedRun]:
    """Every run that the state directory holds, newest first."""
    if not state.runs.is_dir():
        return []
    directories = sorted(path for path in state.runs.iterdir() if RUN_ID.fullmatch(path.name))
    return [_run(directory) for directory in reversed(directories)]


def find_run(state: State, cluster: str, wanted: str | None) -> RecordedRun:
    """The run that the user means.

    Args:
        state: Where the runs are.
        cluster: The cluster's name, for errors.
        wanted: A run's id or its beginning; None for the newest.

    Raises:
        StateError: There is no such run, or there are several.
    """
    runs = list_runs(state)
    if not runs:
        raise StateError(
            f"the cluster {cluster} has no runs in {state.runs}",
            'Run "k8sbootstrap up", or use -f to name the cluster file of another cluster.',
        )
    found = [run for run in runs if run.id.startswith(wanted or "")]
    if wanted and len(found) != 1:
        problem = f'several runs begin with "{wanted}"' if found else f'no run begins with "{wanted}"'
        listed = [f"  {run.id}  {run}" for run in found or runs]
        raise StateError(
            "\n".join([f"{problem}; the cluster {cluster} has these runs:", *listed]),
            "Give the id of one of them, or the beginning of it.",
        )
    return found[0]


def _run(directory: Path) -> RecordedRun:
    summary = read_summary(directory)
    if summary is not None:
        return RecordedRun(directory, summary.command, summary.outcome, summary.seconds)
    try:
        with (directory / "events.jsonl").open(encoding="utf-8", errors="replace") as file:
            first = parse(file.readline())
    except (OSError, ValueError):
        first = None
    return RecordedRun(directory, first.command if isinstance(first, RunStarted) else "", UNFINISHED, None)

"""A run's record as it was left, also where it was left in the middle of a line."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from k8sbootstrap.checks.conformance import record
from k8sbootstrap.checks.conformance.record import Conformance
from k8sbootstrap.checks.framework import CheckReport
from k8sbootstrap.report.runs import read_summary
from k8sbootstrap.run.events import Event, RunStarted, parse
from k8sbootstrap.run.record import Summary
from k8sbootstrap.state import State

_VERIFY = TypeAdapter(CheckReport)


@dataclass(frozen=True)
class Recorded:
    """Everything that is known of one run."""

    directory: Path
    cluster: str
    summary: Summary | None
    """None when the run has not come to its end."""
    events: tuple[Event, ...]
    unreadable: int
    """Lines of the events that are cut off or damaged."""
    verify: CheckReport | None
    """What verify saw; None when the run did not come that far."""
    conformance: Conformance | None = None
    """The cluster's newest run of Conformance, which is no part of this run."""

    @property
    def id(self) -> str:
        """The run's id."""
        return self.directory.name

    @property
    def begun(self) -> RunStarted | None:
        """The first event; None in records that have none, or a damaged one."""
        return next((event for event in self.events if isinstance(event, RunStarted)), None)

    @property
    def command(self) -> str:
        """What the user ran; empty when the record does not say."""
        if self.summary is not None:
            return self.summary.command
        return self.begun.command if self.begun else ""

    @property
    def planned(self) -> bool:
        """Whether it only looked at what there is to change."""
        return self.command == "k8sbootstrap plan"


def read_run(directory: Path, cluster: str) -> Recorded:
    """Read the record of a run. What is missing or damaged is left out; nothing of that is an error.

    Args:
        directory: ``runs/ID`` of the state directory.
        cluster: The cluster's name.
    """
    events, unreadable = _read_events(directory / "events.jsonl")
    return Recorded(
        directory=directory,
        cluster=cluster,
        summary=read_summary(directory),
        events=events,
        unreadable=unreadable,
        verify=_read_verify(directory / "verify.json"),
        conformance=record.read(State(directory.parent.parent)),
    )


def _read_events(path: Path) -> tuple[tuple[Event, ...], int]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return (), 0
    events, unreadable = [], 0
    for line in filter(None, lines):
        try:
            event = _event(json.loads(line))
        except ValueError:
            unreadable += 1
            continue
        if event is not None:
            events.append(event)
    return tuple(events), unreadable


def _event(document: Any) -> Event | None:
    """The event of one line; None for a kind that this version does not know."""
    if not isinstance(document, dict):
        return None
    changes = document.get("changes")
    if isinstance(changes, list):  # they were words alone at first
        document["changes"] = [{"text": item} if isinstance(item, str) else item for item in changes]
    return parse(json.dumps(document))


def _read_verify(path: Path) -> CheckReport | None:
    try:
        return _VERIFY.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None

"""The record of a run: ``runs/ID/`` in the state directory, readable by its owner alone."""

import json
import os
import re
import secrets
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from k8sbootstrap.formats.text import printable
from k8sbootstrap.plan.phases import title
from k8sbootstrap.run.board import Board
from k8sbootstrap.run.events import Event, StepFinished, encode
from k8sbootstrap.state import State

KEEP = 20
"""Runs kept; older ones go when a new one begins."""
RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
"""What a run's folder is called."""

Outcome = Literal["ok", "failed", "interrupted"]


@dataclass(frozen=True)
class Timing:
    """How long a step or a phase took."""

    name: str
    title: str
    seconds: float


@dataclass(frozen=True)
class Summary:
    """How a run went."""

    id: str
    command: str
    outcome: Outcome
    error: str
    """What went wrong; empty when nothing did."""
    started: str
    """UTC, ISO 8601."""
    seconds: float
    steps: tuple[Timing, ...]
    phases: tuple[Timing, ...]
    hosts: dict[str, dict[str, Any]]
    """Per host: ok, changed, skipped and failed tasks, whether it became unreachable, restarts of services,
    and whether it is new."""
    hint: str = ""
    """The next step after ``error``; empty when the error says it."""

    @property
    def changed(self) -> int:
        """Tasks that changed something, over all hosts."""
        return sum(int(count["changed"]) for count in self.hosts.values())


class RunRecord:
    """One run's folder, written as the run goes.

    Args:
        directory: ``runs/ID``, which exists.
        command: What the user ran, such as ``k8sbootstrap up``.
    """

    def __init__(self, directory: Path, command: str) -> None:
        self.directory = directory
        self.command = command
        self.started = datetime.now(UTC)
        self.steps: list[Timing] = []
        self._events = open_private(directory / "events.jsonl")

    @classmethod
    def begin(cls, state: State, command: str) -> "RunRecord":
        """Make the folder of a new run and drop the oldest beyond ``KEEP``."""
        state.runs.mkdir(mode=0o700, exist_ok=True)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        (state.runs / name).mkdir(mode=0o700)
        runs = sorted(path for path in state.runs.iterdir() if RUN_ID.fullmatch(path.name))
        for path in runs[:-KEEP]:
            shutil.rmtree(path)
        return cls(state.runs / name, command)

    @property
    def log(self) -> Path:
        """Ansible's own output; empty until a playbook runs."""
        path = self.directory / "ansible.log"
        path.touch(mode=0o600)
        return path

    @property
    def hooks_log(self) -> Path:
        """Output of hooks; the file exists once one has run."""
        return self.directory / "hooks.log"

    def keep_inventory(self, inventory: Path) -> None:
        """Keep the inventory as it was for this run."""
        shutil.copytree(inventory, self.directory / "inventory", dirs_exist_ok=True)

    def keep(self, name: str, text: str) -> None:
        """Keep ``text`` as a file of the run, without characters that a terminal would obey."""
        with os.fdopen(open_private(self.directory / name), "w", encoding="utf-8") as file:
            file.write(printable(text))

    def write_line(self, line: str) -> None:
        """Add an event that is encoded already."""
        os.write(self._events, printable(line).encode() + b"\n")

    def write(self, event: Event) -> None:
        """Add an event of this program itself."""
        self.write_line(encode(event))
        if isinstance(event, StepFinished):
            self.steps.append(Timing(event.step, event.title, event.seconds))

    def finish(self, outcome: Outcome, board: Board, error: str = "", hint: str = "") -> Summary:
        """Close the record with its ``summary.json``."""
        os.close(self._events)
        summary = Summary(
            id=self.directory.name,
            command=self.command,
            outcome=outcome,
            error=error,
            started=self.started.isoformat(timespec="seconds"),
            seconds=round((datetime.now(UTC) - self.started).total_seconds(), 1),
            steps=tuple(self.steps),
            phases=tuple(
                Timing(phase.name, title(phase.name), round(phase.seconds, 1))
                for phase in board.phases.values()
            ),
            hosts={name: asdict(count) for name, count in board.hosts.items()},
            hint=hint,
        )
        self.keep("summary.json", json.dumps(asdict(summary), indent=2))
        return summary


def open_private(path: Path) -> int:
    """A new file that its owner alone can read, open for appending."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

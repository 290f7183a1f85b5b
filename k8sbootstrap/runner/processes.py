"""Processes by descent: Ansible's workers leave its process group, so a signal to that group misses them."""

import os
import signal
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process as it was seen; ``started`` tells it from a later one with the same id."""

    pid: int
    started: str
    """Clock ticks since boot."""


def descendants(pid: int) -> list[Process]:
    """All living processes that ``pid`` started, directly or not."""
    children: dict[int, list[Process]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (seen := _look(int(entry.name))):
            parent, process = seen
            children[parent].append(process)
    found: list[Process] = []
    pending = [pid]
    while pending:
        born = children[pending.pop()]
        found += born
        pending += [process.pid for process in born]
    return found


def kill_all(processes: list[Process]) -> None:
    """Kill those of ``processes`` that still live."""
    for process in processes:
        seen = _look(process.pid)
        if seen and seen[1] == process:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def _look(pid: int) -> tuple[int, Process] | None:
    """The parent's id and the process; None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]), Process(pid, fields[19])

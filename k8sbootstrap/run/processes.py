"""Processes by descent: Ansible's workers leave its process group, so a signal to that group misses them."""

import os
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process as it was seen; ``started`` tells it from a later one with the same id."""

    pid: int
    started: str
    """Clock ticks since boot."""
    parent: int = field(compare=False)
    """Changes when the parent ends."""
    session: int = field(compare=False)


def descendants(pid: int) -> list[Process]:
    """All living processes that ``pid`` started, directly or not."""
    children: dict[int, list[Process]] = defaultdict(list)
    for process in _all():
        children[process.parent].append(process)
    found: list[Process] = []
    pending = [pid]
    while pending:
        born = children[pending.pop()]
        found += born
        pending += [process.pid for process in born]
    return found


def stop(leader: subprocess.Popen[bytes], number: signal.Signals, patience: float) -> None:
    """End a process that leads a session, and all that it started.

    Args:
        leader: The process.
        number: The signal that asks its process group to end.
        patience: Seconds until it is killed; a second interrupt kills it at once. Nothing that it started
            outlives it, also where the parent in between is gone.
    """
    family = descendants(leader.pid)
    if leader.poll() is None:
        os.killpg(leader.pid, number)
    try:
        with suppress(subprocess.TimeoutExpired):
            leader.wait(patience)
    finally:
        leader.kill()
        leader.wait()
        kill_all([*family, *(process for process in _all() if process.session == leader.pid)])


def kill_all(processes: list[Process]) -> None:
    """Kill those of ``processes`` that still live."""
    for process in processes:
        if _look(process.pid) == process:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def _all() -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (process := _look(int(entry.name))):
            yield process


def _look(pid: int) -> Process | None:
    """The process; None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Process(pid, started=fields[19], parent=int(fields[1]), session=int(fields[3]))

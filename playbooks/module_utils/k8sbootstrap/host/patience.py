"""How long a unit that was started may take to become healthy."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

_LONGEST = 10
"""How many times as long a program that works gets."""
_BUSY = 0.1
"""Processor time per second from which on a program counts as working."""


def within(seconds: float) -> Callable[[], bool]:
    """A function that tells whether less than ``seconds`` have passed since now."""
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() <= deadline


def while_busy(unit: str, seconds: float) -> Callable[[], bool]:
    """A function that tells whether it is worth waiting for a unit that was just started.

    ``seconds`` are for a host of usual speed. A program that works all the while gets ten times as long: a
    slow host needs it. One that only waits, or that ends and is started again, does not.
    """
    began = time.monotonic()
    first_pid, first = _used(unit)

    def goes_on() -> bool:
        passed = time.monotonic() - began
        if passed <= seconds:
            return True
        pid, used = _used(unit)
        return passed <= _LONGEST * seconds and pid == first_pid and used - first > _BUSY * passed

    return goes_on


def _used(unit: str) -> tuple[str, float]:
    """A unit's main process, and the seconds of processor time that it has used; a socket has none."""
    show = ["systemctl", "show", "-p", "MainPID", "--value", unit]
    pid = subprocess.run(show, check=False, capture_output=True, text=True).stdout.strip()
    if not pid.isdigit():
        return pid, 0.0
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return pid, 0.0
    return pid, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

"""Ends processes by descent: Ansible's workers leave its process group, and a signal to it misses them."""

import os
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress

import psutil


def descendants(pid: int) -> list[psutil.Process]:
    """All living processes that ``pid`` started, directly or not."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


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
        _kill([*family, *(process for process in psutil.process_iter() if _session(process) == leader.pid)])


def _session(process: psutil.Process) -> int | None:
    """The session that it belongs to; None when it is gone."""
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _kill(processes: Iterable[psutil.Process]) -> None:
    """Kill those that still live; never another one that got the number of one that has ended."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()

"""How far all downloads together are: files, bytes, rate and the time that is left."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from k8sbootstrap.artifacts.fetch import Progress

_MEGABYTE = 1_000_000
_LEAST_SECONDS = 1.0
"""No rate is told of less: the first bytes say nothing."""
_MINUTE = 60


@dataclass
class _File:
    total: int
    received: int = 0
    before: int | None = None
    """What an earlier run had of it already; None until it begins."""
    done: bool = False


class Transfers:
    """Adds up what ``fetch_all`` tells of single files. Files that are there already don't count.

    Args:
        clock: Seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._files: dict[str, _File] = {}
        self._began: float | None = None

    def hear(self, progress: Progress) -> str:
        """Take a step into account.

        Returns:
            Where all of them are, as in "3 of 12 files, 120 of 433 MB, 12.3 MB/s, 26 s left"; empty while
            nothing is on its way.
        """
        if progress.state == "due" and progress.total:
            self._files[progress.unit] = _File(progress.total)
        elif progress.state == "getting":
            self._get(progress)
        elif progress.state == "done" and progress.unit in self._files:
            self._files[progress.unit].done = True
        elif progress.state == "refused":
            self._files.pop(progress.unit, None)
        return self._text()

    def summary(self) -> str:
        """What came, and how fast; empty where nothing did."""
        seconds = self._seconds()
        if not seconds:
            return ""
        files = sum(file.done for file in self._files.values())
        count = f"{files} {'file' if files == 1 else 'files'}"
        rate = f" ({self._rate() / _MEGABYTE:.1f} MB/s)" if seconds >= _LEAST_SECONDS else ""
        return f"{count} downloaded: {self._new() / _MEGABYTE:.1f} MB in {_duration(seconds)}{rate}"

    def _get(self, progress: Progress) -> None:
        file = self._files.setdefault(progress.unit, _File(0))
        if file.before is None:
            file.before = progress.received
        file.received = progress.received
        file.total = max(progress.total or file.total, progress.received)
        if self._began is None:
            self._began = self._clock()

    def _text(self) -> str:
        if self._began is None:
            return ""
        files = self._files.values()
        done, total = sum(file.received for file in files), sum(file.total for file in files)
        parts = [
            f"{sum(file.done for file in files)} of {len(files)} files",
            f"{done / _MEGABYTE:.0f} of {total / _MEGABYTE:.0f} MB",
        ]
        if self._seconds() >= _LEAST_SECONDS and self._new():
            rate = self._rate()
            parts += [f"{rate / _MEGABYTE:.1f} MB/s", f"{_duration((total - done) / rate)} left"]
        return ", ".join(parts)

    def _new(self) -> int:
        """Bytes that came in this run."""
        return sum(max(0, file.received - (file.before or 0)) for file in self._files.values())

    def _seconds(self) -> float:
        return 0.0 if self._began is None else self._clock() - self._began

    def _rate(self) -> float:
        """Bytes per second."""
        return self._new() / self._seconds()


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"

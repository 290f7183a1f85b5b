"""How far all downloads together are: files, bytes, rate and the time that is left."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from k8sbootstrap.artifacts.fetch import Progress
from k8sbootstrap.formats.text import count, duration, megabytes, megabytes_of

_LEAST_SECONDS = 1.0
"""No rate is shown before: the first bytes say nothing about it."""


@dataclass
class _File:
    total: int
    received: int = 0
    before: int | None = None
    """Bytes that an earlier run downloaded; None until the download begins."""
    done: bool = False


class Transfers:
    """Adds up the progress of all files that ``fetch_all`` downloads. Files in the cache don't count.

    Args:
        clock: Seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._files: dict[str, _File] = {}
        self._began: float | None = None

    def update(self, progress: Progress) -> str:
        """Add the progress of one file.

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
        """How much was downloaded, and how fast; empty where nothing was."""
        seconds = self._seconds()
        if not seconds:
            return ""
        files = sum(file.done for file in self._files.values())
        rate = f" ({megabytes(self._rate())}/s)" if seconds >= _LEAST_SECONDS else ""
        return f"{count(files, 'file')} downloaded: {megabytes(self._new())} in {duration(seconds, 0)}{rate}"

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
            megabytes_of(done, total),
        ]
        if self._seconds() >= _LEAST_SECONDS and self._new():
            rate = self._rate()
            parts += [f"{megabytes(rate)}/s", f"{duration((total - done) / rate, 0)} left"]
        return ", ".join(parts)

    def _new(self) -> int:
        """Bytes that came in this run."""
        return sum(max(0, file.received - (file.before or 0)) for file in self._files.values())

    def _seconds(self) -> float:
        return 0.0 if self._began is None else self._clock() - self._began

    def _rate(self) -> float:
        """Bytes per second."""
        return self._new() / self._seconds()

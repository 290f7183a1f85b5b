"""Lets one progress line through every 10 s."""

import time
from collections.abc import Callable

_SECONDS = 10.0


class RateLimit:
    """Lets one line through every ten seconds, the first one ten seconds after the beginning.

    Args:
        clock: Seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def is_time(self) -> bool:
        """Whether a line may be written now; if so, the next one is 10 s later."""
        now = self._clock()
        if now - self._last < _SECONDS:
            return False
        self._last = now
        return True

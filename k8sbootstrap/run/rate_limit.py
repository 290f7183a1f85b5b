"""How often something that passes is worth a line."""

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
        """Whether a line may be written now; it is taken for written."""
        now = self._clock()
        if now - self._last < _SECONDS:
            return False
        self._last = now
        return True

"""Numbers, times and names as the report writes them."""

from collections.abc import Sequence
from datetime import UTC, datetime

_MINUTE = 60
_HOUR = 3600


def duration(seconds: float) -> str:
    """A time span, as precise as a reader needs: ``0.4 s``, ``2 min 05 s``, ``1 h 02 min``."""
    tenths = round(max(0.0, seconds), 1)
    if tenths < _MINUTE:
        return f"{tenths:.1f} s"
    whole = round(tenths)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"


def clock(seconds: float) -> str:
    """A moment of the run: minutes and seconds since it began, as in ``1:05``."""
    whole = int(max(0.0, seconds))
    return f"{whole // _MINUTE}:{whole % _MINUTE:02}"


def moment(epoch: float) -> str:
    """A moment of the calendar, from seconds since the epoch."""
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M:%S} UTC"


def count(number: int, noun: str) -> str:
    """``1 host``, ``2 hosts``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def some(names: Sequence[str], limit: int) -> str:
    """The first names of a list, and how many there are beyond them."""
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def shortened(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"

"""Text for people: numbers, sizes, times and lists in words, and text of others made fit to be shown."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

_MINUTE = 60
_HOUR = 3600
_MEGABYTE = 1_000_000

_STRANGE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters: a terminal obeys them
    "\ud800-\udfff"  # halves of characters: can't be written at all
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn the direction of text
    "\u2028\u2029]"  # line ends of another kind
)
_LOGIN = re.compile(r"://[^\s/\"'<>\\]*@")


def printable(text: str) -> str:
    """``text`` with a replacement for each character that a terminal or page would obey instead of showing.

    Newlines and tabs stay. Logins in URLs are left out.
    """
    return without_logins(_STRANGE.sub("\ufffd", text))


def without_logins(text: str) -> str:
    """``text`` with ``***`` for the user and password of every URL in it."""
    return _LOGIN.sub("://***@", text)


def duration(seconds: float, digits: int = 1) -> str:
    """A time span, as precise as a reader needs: ``0.4 s``, ``2 min 05 s``, ``1 h 02 min``.

    Args:
        seconds: Its length; less than nothing counts as nothing.
        digits: Digits after the point, of spans under a minute.
    """
    exact = round(max(0.0, seconds), digits)
    if exact < _MINUTE:
        return f"{exact:.{digits}f} s"
    whole = round(exact)
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
    """A number and its noun, with an s where it is not one: ``1 host``, ``2 hosts``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def megabytes(size: float, digits: int = 1) -> str:
    """A number of bytes as megabytes of 1,000,000 bytes: ``433.0 MB``."""
    return f"{size / _MEGABYTE:.{digits}f} MB"


def megabytes_of(done: float, total: float) -> str:
    """How many of all bytes are done: ``120 of 433 MB``."""
    return f"{done / _MEGABYTE:.0f} of {megabytes(total, 0)}"


def some(names: Sequence[str], limit: int) -> str:
    """The first ``limit`` names of a list, and the number of the others: ``a, b and 3 more``."""
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def shortened(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"

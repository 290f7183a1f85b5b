"""Text of others (hosts, mirrors, programs) made fit to be shown."""

import re

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

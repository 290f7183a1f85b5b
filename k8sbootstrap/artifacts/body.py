"""The body of a server's answer, with bounds on its size and on the time that it takes."""

import time
from collections.abc import Iterator

import urllib3

SLOW_SECONDS = 60.0
SLOW_BYTES = 64 << 10
"""Bytes: a download ends with an error when the server sends fewer within ``SLOW_SECONDS``."""
_CHUNK = 1 << 20
_DIGITS = 18
"""Digits of a Content-Length that is taken for a number."""


class TooLargeError(Exception):
    """The body has more bytes than it may; the message says how many."""


class TooSlowError(Exception):
    """The server sends next to nothing; the message says how little."""


def length(response: urllib3.BaseHTTPResponse) -> int | None:
    """How many bytes the server says that it sends; None where it says nothing that is a number."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def chunks(response: urllib3.BaseHTTPResponse, most: int) -> Iterator[bytes]:
    """The body, as it comes.

    Args:
        response: An answer that nothing was read of.
        most: The most bytes that are read.

    Raises:
        TooLargeError: There are more, or the server says so beforehand.
        TooSlowError: Next to nothing comes.
        urllib3.exceptions.HTTPError: The transfer breaks.
    """
    announced = length(response)
    if announced is not None and announced > most:
        raise TooLargeError(f"it has {announced:,} bytes, more than the limit of {most:,}")
    received = lately = 0
    since = time.monotonic()
    while chunk := response.read1(_CHUNK, decode_content=False):
        received += len(chunk)
        if received > most:
            raise TooLargeError(f"it has more than the limit of {most:,} bytes")
        lately += len(chunk)
        seconds = time.monotonic() - since
        if seconds >= SLOW_SECONDS:
            if lately < SLOW_BYTES:
                raise TooSlowError(f"too slow: only {lately:,} bytes in {seconds:.0f} s")
            since, lately = time.monotonic(), 0
        yield chunk

"""A log of what a child process prints, as text that is safe to show on a terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Thread

from k8sbootstrap.formats.text import printable

LONGEST_LINE = 1 << 20
"""Bytes after which a line is written though its end has not come yet."""
_JOIN_SECONDS = 5.0
"""How long the end of the output is waited for; a process that was left behind may hold it open."""


@contextmanager
def text_log(path: Path) -> Iterator[int]:
    """Append what is written to a pipe to a file, as printable text, line by line, while it comes.

    Hosts decide about much of what Ansible prints. A terminal would obey control characters in it as soon as
    somebody prints the file there.

    Args:
        path: The file, made if it is not there.

    Yields:
        The pipe's end to write to, for child processes; the block's end closes it and waits until all that
        was written is in the file.
    """
    reader, writer = os.pipe()
    thread = Thread(target=_copy, args=(reader, path), name=f"log {path.name}", daemon=True)
    thread.start()
    try:
        yield writer
    finally:
        os.close(writer)
        thread.join(_JOIN_SECONDS)


def _copy(reader: int, path: Path) -> None:
    with os.fdopen(reader, "rb") as source, path.open("ab", buffering=0) as target:
        for line in iter(partial(source.readline, LONGEST_LINE), b""):
            with suppress(OSError):  # a full disk must not stop the process in the middle of its work
                target.write(printable(line.decode(errors="replace")).encode())

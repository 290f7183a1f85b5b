"""Holds SIGINT, SIGTERM and SIGHUP back until ``Popen`` has returned, so that the child can be stopped."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interrupts_held() -> Iterator[Callable[[], None]]:
    """Hold interrupts back at the start of a block.

    One that came while ``subprocess.Popen`` is at work would leave a child that nobody knows of.

    Yields:
        A function that lets them through again and raises what has come meanwhile, as the block's end does.
    """
    came: list[int] = []
    raising = [number for number in _INTERRUPTS if callable(signal.getsignal(number))]
    handlers = {number: signal.signal(number, lambda number, _: came.append(number)) for number in raising}

    def release() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        while came:
            signal.raise_signal(came.pop())

    try:
        yield release
    finally:
        release()

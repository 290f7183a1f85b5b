"""Waits for work that can hang, such as a resolver, or a server that sends its first lines byte by byte."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

Result = TypeVar("Result")


class LateError(Exception):
    """It took too long."""


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """Do work that can hang in a thread of its own; the thread is abandoned when it takes too long.

    Raises:
        LateError: It took too long.
        Exception: What ``work`` raised.
    """
    done: Future[Result] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as exc:  # noqa: BLE001 - raised where the result is waited for
            done.set_exception(exc)

    threading.Thread(target=run, daemon=True).start()
    try:
        return done.result(seconds)
    except FutureTimeoutError as exc:
        if done.done():  # the work itself ran into a time limit
            raise
        raise LateError from exc

"""Writes and reads while something happens to the cluster: what was acknowledged, and what is there then.

The loops of `load` run on a lab host and count requests. This one runs on the machine that has the lab,
because every host may be down, and remembers each object that the API has acknowledged.
"""

from __future__ import annotations

import http.client
import queue
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api import Api

NAMESPACE = "faults"
PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
PAUSE = 0.1


@dataclass(frozen=True)
class Written:
    """What became of the writes."""

    acknowledged: int
    unanswered: int
    """Writes without an acknowledgement: whether they are there does not matter."""
    read: int
    """Acknowledged writes that were read back at once, from another master."""
    lost: list[str]
    """Names of those that were acknowledged and are not there."""
    gap: float
    """Longest time without an acknowledged write, in seconds."""


def longest_gap(moments: list[float]) -> float:
    """The longest time between two moments in a row."""
    return max((after - before for before, after in pairwise(moments)), default=0.0)


def namespace(api: Api) -> None:
    """Make the namespace that is written to."""
    status, answer = api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    assert status == http.client.CREATED, answer


class Writer:
    """Writes ConfigMaps, each with a new name, and reads each back from the next master, until it ends."""

    def __init__(self, api: Api, prefix: str) -> None:
        self.acknowledged: dict[str, float] = {}
        """Name to when the API said that it is written, in seconds since the machine's start."""
        self._api = api
        self._prefix = prefix
        self._unanswered = 0
        self._read = 0
        self._wrong: list[str] = []
        self._to_read: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=loop, args=[api.other()], daemon=True)
            for loop in (self._write_all, self._read_all)
        ]
        self._began = time.monotonic()

    def start(self) -> None:
        """Begin."""
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def end(self) -> Written:
        """Stop, and look what is there."""
        self._done.set()
        for thread in self._threads:
            thread.join()
        moments = [self._began, *self.acknowledged.values(), time.monotonic()]
        there = present(self._api)
        lost = self._wrong + [name for name in self.acknowledged if name not in there]
        return Written(len(self.acknowledged), self._unanswered, self._read, lost, longest_gap(moments))

    def _write_all(self, api: Api) -> None:
        number = 0
        while not self._done.is_set():
            number += 1
            name = f"{self._prefix}-{number}"
            status, _ = api.ask("POST", PATH, {"metadata": {"name": name}, "data": {"name": name}})
            if status == http.client.CREATED:
                self.acknowledged[name] = time.monotonic()
                self._to_read.put(name)
            else:
                self._unanswered += 1
            self._done.wait(1 if 400 <= status < 500 else PAUSE)

    def _read_all(self, api: Api) -> None:
        """Reads while writes are made; those that nobody answers for are looked for at the end."""
        while not self._done.is_set():
            try:
                name = self._to_read.get(timeout=PAUSE)
            except queue.Empty:
                continue
            status = 0
            while not self._done.is_set() and status not in {http.client.OK, http.client.NOT_FOUND}:
                status, answer = api.ask("GET", f"{PATH}/{name}")
                if status == http.client.OK and answer["data"] == {"name": name}:
                    self._read += 1
                elif status in {http.client.OK, http.client.NOT_FOUND}:
                    self._wrong.append(f"{name}: read {answer}")
                else:
                    self._done.wait(PAUSE)


def present(api: Api) -> set[str]:
    """Names of all that is there as it was written."""
    return {
        each["metadata"]["name"]
        for each in api.items(PATH)
        if each.get("data") == {"name": each["metadata"]["name"]}
    }

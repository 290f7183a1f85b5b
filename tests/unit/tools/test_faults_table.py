"""The fault table in the documentation, and the loop of writes that finds out whether one was lost."""

import http.client
import time
from typing import Any

import pytest

from tools import faults_table  # puts the folder of these tests on the path

import rows  # isort: skip
import writer  # isort: skip


def test_the_page_has_the_newest_results() -> None:
    page = faults_table.PAGE.read_text()
    assert faults_table.with_table(page) == page, "run: python -m tools.faults_table"


def test_a_table() -> None:
    made = rows.table(
        [
            rows.Row("power", 10, 0, 61.04, 20.0, quorum=False),
            rows.Row("`up` is killed", 20, 1, 0.3, 9.99, kills=6),
        ]
    )
    assert made.splitlines()[2:] == [
        "| power | 10 | 0 | 61.0 s: no quorum | 20.0 s |",
        "| `up` is killed, 6 times | 20 | 1 | 0.3 s | 10.0 s |",
        "| all | 30 | 1 | | |",
    ]


class Server:
    """An API that keeps what is written, unless it is told to forget, refuse or change something."""

    def __init__(self, forgets: str = "", refuses: str = "", changes: str = "") -> None:
        self.there: dict[str, Any] = {}
        self.forgets = forgets
        self.refuses = refuses
        self.changes = changes

    def other(self) -> "Server":
        return self

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        if method == "POST":
            name = body["metadata"]["name"]
            if name == self.refuses:
                return 0, "no answer"
            if name != self.forgets:
                self.there[name] = body | {"data": {"name": "other"}} if name == self.changes else body
            return http.client.CREATED, body
        found = self.there.get(path.rpartition("/")[2])
        return (http.client.OK, found) if found else (http.client.NOT_FOUND, None)

    def items(self, _path: str) -> list[Any]:
        return list(self.there.values())


def written(server: Server, monkeypatch: pytest.MonkeyPatch) -> writer.Written:
    """What became of more than 5 writes."""
    monkeypatch.setattr(writer, "PAUSE", 0.001)
    loop = writer.Writer(server, "w")
    loop.start()
    deadline = time.monotonic() + 10
    while len(loop.acknowledged) < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    return loop.end()


def test_writes_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    found = written(server, monkeypatch)
    assert found.lost == []
    assert found.acknowledged == len(server.there) >= 5
    assert found.read > 0
    assert 0 < found.gap < 5


@pytest.mark.parametrize("fault", ["forgets", "changes"])
def test_a_write_that_was_acknowledged_and_is_lost(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = written(Server(**{fault: "w-2"}), monkeypatch)
    assert "w-2" in found.lost


def test_a_write_that_nobody_acknowledged_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    found = written(Server(refuses="w-2"), monkeypatch)
    assert (found.lost, found.unanswered) == ([], 1)


def test_the_longest_gap() -> None:
    assert writer.longest_gap([1.0, 2.0, 7.0, 8.0]) == 5.0
    assert writer.longest_gap([1.0]) == 0.0

import io
import re
import time
from dataclasses import replace

from rich.console import Console

from k8sbootstrap.run.board import Board
from k8sbootstrap.run.events import (
    Change,
    Event,
    StepFinished,
    StepNote,
    StepStarted,
    TaskResult,
    TaskRetried,
)
from k8sbootstrap.run.live import LiveReporter, reporter_for
from k8sbootstrap.run.progress import Reporter

from .conftest import DATA

START = 1795487893.0


def play_back(events: list[Event], reporter: Reporter) -> None:
    board = Board()
    with reporter:
        for event in events:
            board.apply(event)
            reporter.handle(event, board)


def plain(events: list[Event], verbosity: int = 0) -> str:
    out = io.StringIO()
    console = Console(file=out, width=200, no_color=True, highlight=False, soft_wrap=True)
    play_back(events, Reporter(console, verbosity, started=START))
    return out.getvalue()


def steps() -> list[Event]:
    return [
        StepStarted(time=START, step="preflight", title="Preflight"),
        StepNote(time=START + 1, step="preflight", title="Preflight", text="swap is on [master1]"),
        StepFinished(time=START + 2, step="preflight", title="Preflight", outcome="ok", seconds=2),
    ]


def test_lines(recorded: list[Event]) -> None:
    assert plain([*steps(), *recorded]) == (DATA / "progress.txt").read_text()


def test_lines_with_every_task(recorded: list[Event]) -> None:
    waiting = TaskRetried(
        time=START + 4,
        phase="etcd",
        host="master1",
        task="Wait",
        role="etcd",
        action="x",
        attempt=2,
        retries=9,
    )
    assert plain([*recorded[:-1], waiting, recorded[-1]], 1) == (DATA / "progress-v.txt").read_text()


def test_changes_are_listed_with_every_task(recorded: list[Event]) -> None:
    result = next(e for e in recorded if isinstance(e, TaskResult) and e.status == "changed")
    text = plain(
        [
            *recorded[:2],
            replace(result, changes=(Change(text="/etc/x added"), Change(text="x.service started"))),
        ],
        1,
    )
    assert text.endswith(
        "Prepare hosts: master1 changed: Prepare (0.7s)\n    /etc/x added\n    x.service started\n"
    )


def test_a_warning_is_shown_once(recorded: list[Event]) -> None:
    result = next(e for e in recorded if isinstance(e, TaskResult) and e.status == "ok")
    warned = replace(result, warnings=("the clock is off",))
    assert plain([*recorded[:2], warned, warned]).count("master2: warning: the clock is off") == 1


def test_a_failed_step_says_so() -> None:
    failed = StepFinished(time=START + 2, step="pki", title="Certificates", outcome="failed", seconds=2)
    assert plain([failed]) == "[  2.0s] Certificates: failed\n"


def test_ansible_log_only_where_asked_for() -> None:
    out = io.StringIO()
    console = Console(file=out, no_color=True)
    Reporter(console, 1).log("TASK [x]\n")
    assert out.getvalue() == ""
    Reporter(console, 2).log("TASK [x]\n")
    assert out.getvalue() == "TASK [x]\n"


def live(events: list[Event], width: int) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, height=30, force_terminal=True, no_color=True, soft_wrap=True)
    play_back(events, LiveReporter(console, started=START))
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", out.getvalue())


def test_table_on_a_terminal(recorded: list[Event]) -> None:
    text = live([*steps(), *recorded], 100)
    assert "✓ Preflight 2.0s" in text
    table = text[text.rindex("master1  master2  worker1") :].splitlines()
    assert table[1].split() == ["✗", "Prepare", "hosts", "✓", "1", "✓", "✗", "1s"]
    assert table[2].split() == ["✗", "etcd", "✓", "1", "✗", "–", "1s"]  # noqa: RUF001
    assert table[3].split() == ["Control", "plane"]
    assert 'master2 failed at "Start the member"' in text


def test_table_counts_hosts_where_they_do_not_fit(recorded: list[Event]) -> None:
    table = live(recorded, 45)
    assert "✗ Prepare hosts       2 ok, 1 failed" in table
    assert "master1  master2" not in table


def test_terminal_is_free_while_paused(recorded: list[Event]) -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, no_color=True)
    with LiveReporter(console) as reporter:
        board = Board()
        reporter.handle(steps()[0], board)
        with reporter.paused():
            before = out.getvalue()
            reporter.status("nothing may be drawn now")
            assert out.getvalue() == before


def test_the_display_suits_the_output() -> None:
    assert type(reporter_for(Console(file=io.StringIO()), 0)) is Reporter
    assert type(reporter_for(Console(force_terminal=True), 0)) is LiveReporter


def test_what_takes_long_is_told_now_and_then() -> None:
    out = io.StringIO()
    reporter = Reporter(Console(file=out, width=200, no_color=True), started=time.time())
    reporter.step_started(StepStarted(time=reporter.started, step="artifacts", title="Files to install"))
    reporter.status("0 of 3 files, 1 of 400 MB")
    reporter._pace._last -= 10  # ten seconds go by
    for text in ("1 of 3 files, 100 of 400 MB, 25.0 MB/s, 12 s left", "1 of 3 files, 101 of 400 MB", ""):
        reporter.status(text)
    lines = [line.partition("] ")[2] for line in out.getvalue().splitlines()]
    assert lines == [
        "Files to install",
        "Files to install: 1 of 3 files, 100 of 400 MB, 25.0 MB/s, 12 s left",
    ]

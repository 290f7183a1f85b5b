from dataclasses import replace

from k8sbootstrap.run.board import Board
from k8sbootstrap.run.events import Event, HostStats, PlayStarted, Stats, TaskResult, TaskStarted

OK = TaskResult(time=5, phase="etcd", host="a", task="t", role="", action="x", status="ok", seconds=1)


def board_of(events: list[Event]) -> Board:
    board = Board()
    for event in events:
        board.apply(event)
    return board


def play(time: float, phase: str, *hosts: str) -> PlayStarted:
    return PlayStarted(time=time, phase=phase, play="", hosts=hosts)


def test_a_recorded_run(recorded: list[Event]) -> None:
    board = board_of(recorded)
    assert list(board.phases) == ["host", "etcd"]
    words = {name: {h: c.progress for h, c in phase.hosts.items()} for name, phase in board.phases.items()}
    assert words == {
        "host": {"master1": "changed", "master2": "ok", "worker1": "unreachable"},
        "etcd": {"master1": "changed", "master2": "failed"},
    }
    master1 = board.hosts["master1"]
    assert (master1.ok, master1.changed, master1.skipped, master1.failed) == (1, 2, 1, 0)
    assert [(r.host, r.status) for r in board.fatal()] == [("worker1", "unreachable"), ("master2", "failed")]
    assert round(board.phases["etcd"].seconds, 2) == 1.14
    assert board.current is None


def test_while_a_phase_runs() -> None:
    task = TaskStarted(time=2, phase="etcd", task="Start", role="etcd", action="x", handler=False)
    board = board_of([play(1, "host", "a"), play(2, "etcd", "a", "b"), task])
    assert board.current is board.phases["etcd"]
    assert board.current.task == "Start"
    assert board.phases["host"].seconds == 1
    assert [count.progress for count in board.current.hosts.values()] == ["idle", "idle"]


def test_plays_of_one_phase_are_one_phase() -> None:
    board = board_of([play(1, "kubelet", "a"), play(4, "kubelet", "b"), Stats(time=9)])
    assert list(board.phases["kubelet"].hosts) == ["a", "b"]
    assert board.phases["kubelet"].seconds == 8


def test_ignored_failures_are_no_failures() -> None:
    board = board_of([play(1, "etcd", "a"), replace(OK, status="failed", ignored=True)])
    assert board.fatal() == []
    assert board.hosts["a"].failed == 0


def test_a_failure_that_the_playbook_mended_is_not_fatal() -> None:
    failed = replace(OK, status="failed")
    events: list[Event] = [play(1, "etcd", "a", "b"), failed, replace(failed, host="b")]
    assert {result.host for result in board_of(events).fatal()} == {"a", "b"}  # killed before it could tell
    stats = Stats(time=9, hosts={"a": HostStats(ok=1), "b": HostStats(failures=1)})
    assert {result.host for result in board_of([*events, stats]).fatal()} == {"b"}

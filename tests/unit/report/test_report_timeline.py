import pytest

from k8sbootstrap.report.timeline import SHOWN, Bar, Timeline, draw_timeline
from tests.report_runs import large_run, lines


def inside(drawn: Timeline) -> bool:
    bars = [bar for row in (*drawn.rows, *drawn.more) for bar in (*row.bars, *row.slowest)]
    return all(bar.left >= 0 and bar.width > 0 and bar.left + bar.width <= 100.001 for bar in bars)


def test_bars_are_where_the_time_was(history) -> None:
    drawn = draw_timeline(history("failed"))
    rows = {row.name: row for row in drawn.rows}
    assert list(rows) == ["k8sbootstrap", "master1", "master2", "master3", "worker1", "worker2"]
    failed = rows["master3"].bars[-1]
    assert failed.kind == "failed"
    assert (failed.left, failed.width) == pytest.approx((100 * 17.4 / 44.9, 100 * 15.6 / 44.9), abs=0.01)
    assert failed.title == "master3: Install and start etcd (etcd): failed, 15.6 s from 0:17"
    assert rows["master1"].summary == "4 tasks, busy for 21.3 s"  # what was skipped is not a task here
    assert inside(drawn)


def test_the_slowest_path_is_marked(history) -> None:
    drawn = draw_timeline(history("failed"))
    marked = {row.name: [bar.title for bar in row.slowest] for row in drawn.rows if row.slowest}
    assert marked == {
        "master1": ["all waited for master1: 12.8 s"],
        "master2": ["all waited for master2: 2.0 s"],
        "master3": ["all waited for master3: 15.6 s"],
        "worker1": ["all waited for worker1: 9.3 s"],  # three tasks in a row
    }


def test_phases_are_numbered_and_times_marked(history) -> None:
    drawn = draw_timeline(history("failed"))
    assert [label.text for label in drawn.phases] == ["1 Prepare hosts", "2 etcd", "3 Join nodes"]
    assert [label.text for label in drawn.ticks] == ["0:00", "0:10", "0:20", "0:30", "0:40"]


def test_the_legend_names_what_is_there(history) -> None:
    assert [kind for kind, _ in draw_timeline(history("cut")).legend] == [
        "slowest",
        "changed",
        "step",
        "unfinished",
    ]


def test_no_playbook_is_one_row(history) -> None:
    (row,) = draw_timeline(history("preflight")).rows
    assert [(bar.kind, bar.title) for bar in row.bars] == [
        ("step", "Host keys: ok, 0.2 s from 0:00"),
        ("failed", "Preflight: failed, 1.7 s from 0:00"),
    ]


def test_no_events_are_no_rows(history) -> None:
    assert draw_timeline(history("")).rows == ()


def test_a_large_cluster_shows_its_slowest_hosts(history) -> None:
    read = history(large_run(200))
    drawn = draw_timeline(read)
    slowest = next(iter(read.stages[0].waits))
    assert len(drawn.rows) == SHOWN
    assert len(drawn.rows) + len(drawn.more) == 200
    assert slowest in {row.name for row in drawn.rows}
    assert not any(row.slowest for row in drawn.more)
    assert [row.name for row in drawn.rows] == sorted(row.name for row in drawn.rows)
    assert inside(drawn)


def test_a_failed_host_is_shown_among_many(history) -> None:
    events = large_run(100).replace(
        '"host": "node042", "status": "changed"', '"host": "node042", "status": "failed"'
    )
    assert "node042" in {row.name for row in draw_timeline(history(events)).rows}


def test_what_took_no_time_can_be_seen(history) -> None:
    step = {"step": "x", "title": "x", "outcome": "ok"}
    events = lines(
        *({"kind": kind, "time": t, **step} for t in (1, 5000) for kind in ("step_started", "step_finished"))
    )
    (row,) = draw_timeline(history(events)).rows
    assert row.bars == (
        Bar(0.0, 0.2, "step", "x: ok, 0.0 s from 0:00"),
        Bar(99.8, 0.2, "step", "x: ok, 0.0 s from 83:19"),
    )

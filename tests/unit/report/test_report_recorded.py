import json
from typing import Any

import pytest

from k8sbootstrap.plan.changes import Change
from k8sbootstrap.report.recorded import read_run
from k8sbootstrap.run.events import TaskResult
from k8sbootstrap.state import State
from tests.report_runs import DATA, SUMMARY, make_run


def result(**more: Any) -> str:
    task = {"phase": "host", "task": "t", "role": "", "action": "x"}
    return json.dumps(
        {"v": 1, "kind": "task_result", "time": 1.0, **task, "host": "m", "status": "ok", "seconds": 1.0}
        | more
    )


def test_a_whole_record(read) -> None:
    recorded = read("failed", summary=SUMMARY, verify=True)
    assert (recorded.command, recorded.unreadable) == ("k8sbootstrap up", 0)
    assert recorded.begun.program == "0.1.0"
    written = (DATA / "failed.jsonl").read_text().splitlines()
    assert len(recorded.events) == len(written) - 1  # one is of a kind that this version does not know
    assert recorded.verify.cluster == "demo"
    assert len(recorded.verify.failures) == 2


def test_a_line_that_is_cut_off_is_counted_and_the_rest_read(read) -> None:
    recorded = read("cut")
    assert (recorded.unreadable, recorded.summary, recorded.command) == (1, None, "k8sbootstrap up")
    assert isinstance(recorded.events[-1], TaskResult)
    assert recorded.verify is None


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ([], ()),
        (["one", "two"], (Change(text="one"), Change(text="two"))),
        (
            [{"name": "/x", "text": "/x added", "new": 1}, "two"],
            (Change(text="/x added", name="/x"), Change(text="two")),
        ),
    ],
)
def test_changes_are_objects_and_were_words_once(read, written: Any, read_as: tuple[Change, ...]) -> None:
    (event,) = read(result(changes=written) + "\n").events
    assert event.changes == read_as


@pytest.mark.parametrize(
    "line",
    [
        "{",
        result(seconds="long"),
        result(changes=[5]),
        '{"v": 1, "kind": "stats"}',
        '"\\ud800',
        "\udc80\udcff",
    ],
)
def test_damaged_lines_are_left_out(state: State, line: str) -> None:
    directory = make_run(state, "")
    text = f"{result()}\n{line}\n{result()}\n"
    (directory / "events.jsonl").write_bytes(text.encode(errors="surrogateescape"))
    recorded = read_run(directory, "demo")
    assert (len(recorded.events), recorded.unreadable) == (2, 1)


def test_what_later_versions_write_is_not_damage(read) -> None:
    recorded = read(f'{{"v": 2, "kind": "stats"}}\n{result(new="field")}\n[1]\n')
    assert (len(recorded.events), recorded.unreadable) == (1, 0)


@pytest.mark.parametrize("damage", ["", "{}", '{"cluster": "demo", "results": 5, "seconds": 1}'])
def test_damaged_results_of_verify_are_none(state: State, damage: str) -> None:
    directory = make_run(state, "cut")
    (directory / "verify.json").write_text(damage)
    assert read_run(directory, "demo").verify is None


def test_an_empty_folder(state: State) -> None:
    directory = state.runs / "x"
    directory.mkdir(parents=True)
    recorded = read_run(directory, "demo")
    assert (recorded.events, recorded.command, recorded.begun) == ((), "", None)

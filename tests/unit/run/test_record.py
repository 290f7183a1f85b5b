import json
from pathlib import Path

from k8sbootstrap.run.board import Board
from k8sbootstrap.run.events import Event, StepFinished, StepNote, StepStarted, encode, parse
from k8sbootstrap.run.record import KEEP, RunRecord
from k8sbootstrap.state import State


def test_summary(state: State, recorded: list[Event]) -> None:
    record = RunRecord.begin(state, "k8sbootstrap up")
    record.write(StepFinished(time=2, step="pki", title="Certificates", outcome="ok", seconds=1.5))
    board = Board()
    for event in recorded:
        board.apply(event)
    summary = record.finish("failed", board, "master2 failed")
    assert summary.changed == 3
    document = json.loads((record.directory / "summary.json").read_text())
    assert document["id"] == record.directory.name
    assert (document["command"], document["outcome"]) == ("k8sbootstrap up", "failed")
    assert document["error"] == "master2 failed"
    assert document["steps"] == [{"name": "pki", "title": "Certificates", "seconds": 1.5}]
    assert [(phase["name"], phase["title"]) for phase in document["phases"]] == [
        ("host", "Prepare hosts"),
        ("etcd", "etcd"),
    ]
    assert document["hosts"]["worker1"]["unreachable"] is True
    assert document["hosts"]["master1"] == {
        "ok": 1,
        "changed": 2,
        "skipped": 1,
        "failed": 0,
        "unreachable": False,
        "restarts": 0,
        "new": False,
    }


def test_events_are_there_at_once_and_in_order(state: State) -> None:
    record = RunRecord.begin(state, "k8sbootstrap up")
    event = StepStarted(time=1, step="pki", title="Certificates")
    record.write(event)
    record.write_line('{"v": 1, "kind": "of the future"}')
    lines = (record.directory / "events.jsonl").read_text().splitlines()
    assert parse(lines[0]) == event
    assert lines == [encode(event), '{"v": 1, "kind": "of the future"}']


def test_only_the_owner_can_read_it(state: State, tmp_path: Path) -> None:
    record = RunRecord.begin(state, "k8sbootstrap up")
    (tmp_path / "inventory").mkdir(mode=0o700)
    (tmp_path / "inventory" / "hosts.yml").write_text("all:\n")
    record.keep_inventory(tmp_path / "inventory")
    record.log.write_text("x")
    record.finish("ok", Board())
    assert (record.directory / "inventory" / "hosts.yml").read_text() == "all:\n"
    modes = {path.name: path.stat().st_mode & 0o777 for path in [state.runs, *state.runs.rglob("*")]}
    assert {modes[name] for name in ("events.jsonl", "ansible.log", "summary.json")} == {0o600}
    assert {modes[name] for name in ("runs", record.directory.name, "inventory")} == {0o700}


def test_old_runs_go_and_nothing_else(state: State) -> None:
    state.runs.mkdir()
    (state.runs / "notes").mkdir()
    old = [f"20200101T0000{number:02}Z-abcdef" for number in range(KEEP + 3)]
    for name in old:
        (state.runs / name).mkdir()
        (state.runs / name / "events.jsonl").touch()
    record = RunRecord.begin(state, "k8sbootstrap up")
    left = {path.name for path in state.runs.iterdir()}
    assert left == {"notes", record.directory.name, *old[-(KEEP - 1) :]}


def test_no_file_has_what_a_terminal_would_obey(state: State) -> None:
    """JSON escapes what is not ASCII; but not DEL."""
    strange = "\x1b[2J\x7f\x9b\u202e"
    record = RunRecord.begin(state, "k8sbootstrap up")
    record.write(StepNote(time=1, step="pki", title="Certificates", text=strange))
    record.keep("verify.json", json.dumps({"message": strange}))
    record.finish("failed", Board(), f"master1: {strange}")
    files = {path.name: path.read_text() for path in record.directory.iterdir()}
    assert set(files) == {"events.jsonl", "verify.json", "summary.json"}
    for text in files.values():
        assert "\\u001b[2J" in text
        assert not {"\x1b", "\x7f", "\x9b", "\u202e"} & set(text)

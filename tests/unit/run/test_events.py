import json
from pathlib import Path

import pytest

from k8sbootstrap.resources import data_dir
from k8sbootstrap.run import events
from k8sbootstrap.run.events import (
    Change,
    Event,
    Failure,
    HookFinished,
    HookStarted,
    HostStats,
    PhaseDue,
    PlayStarted,
    Stats,
    StepFinished,
    StepNote,
    StepStarted,
    TaskResult,
    encode,
    parse,
)

from .conftest import DATA


def test_every_recorded_line_is_understood(recorded: list[Event]) -> None:
    lines = (DATA / "events.jsonl").read_text().splitlines()
    assert len(recorded) == len(lines)
    assert recorded[1] == PlayStarted(
        time=1795487895.235,
        phase="host",
        play="[host] Prepare hosts",
        hosts=("master1", "master2", "worker1"),
    )
    failed = next(e for e in recorded if isinstance(e, TaskResult) and e.status == "failed")
    assert failed.failure == Failure(
        msg="non-zero return code",
        rc=1,
        cmd="sh -c 'echo Job for etcd.service failed >&2; exit 1'",
        stderr="Job for etcd.service failed",
    )
    stats = recorded[-1]
    assert isinstance(stats, Stats)
    assert stats.hosts["master2"] == HostStats(ok=2, changed=1, failures=1)


@pytest.mark.parametrize(
    "event",
    [
        StepStarted(time=1.5, step="pki", title="Certificates"),
        StepNote(time=1.5, step="pki", title="Certificates", text="3 issued"),
        StepFinished(time=2.5, step="pki", title="Certificates", outcome="ok", seconds=1.0),
        TaskResult(
            time=1.0,
            phase="etcd",
            host="a",
            task="t",
            role="r",
            action="component",
            status="failed",
            seconds=1.0,
            changes=(
                Change(text="etcd.service restarted", kind="unit", action="restart", name="etcd.service"),
            ),
            diff=[{"prepared": "+x"}],
            failure=Failure(msg="no"),
        ),
        Stats(time=1.0, hosts={"a": HostStats(ok=1)}),
        PhaseDue(time=1.0, phase="etcd", hosts=("a", "b")),
        HookStarted(time=1.0, command=("./x", "y z"), when="before", phase="up"),
        HookFinished(
            time=1.0,
            command=("./x",),
            when="after",
            phase="etcd",
            rc=3,
            seconds=0.1,
            failure="ended with code 3",
            stderr=("no",),
            ignored=True,
        ),
    ],
)
def test_encode_and_parse_are_inverse(event: Event) -> None:
    assert parse(encode(event)) == event


@pytest.mark.parametrize(
    "line",
    [
        '{"v": 1, "kind": "of the future", "time": 1}',
        '{"v": 2, "kind": "stats", "time": 1}',
        '{"v": 1, "kind": "sta',
        '"stats"',
        "",
    ],
)
def test_what_is_not_known_is_passed_over(line: str) -> None:
    assert parse(line) is None


def test_new_fields_of_known_kinds_are_passed_over() -> None:
    line = '{"v": 1, "kind": "playbook_started", "time": 1, "playbook": "site", "new": 1}'
    assert parse(line) == events.PlaybookStarted(time=1, playbook="site")


def test_a_known_kind_without_its_fields_is_a_bug() -> None:
    with pytest.raises(ValueError, match="playbook"):
        parse('{"v": 1, "kind": "playbook_started", "time": 1}')


def test_callback_writes_the_version_that_is_read() -> None:
    source = (data_dir() / "playbooks/callback_plugins/k8sbootstrap_events.py").read_text()
    assert f"\nVERSION = {events.VERSION}\n" in source


def test_recorded_lines_are_of_this_version() -> None:
    for line in Path(DATA / "events.jsonl").read_text().splitlines():
        assert json.loads(line)["v"] == events.VERSION

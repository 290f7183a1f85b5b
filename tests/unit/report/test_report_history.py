import pytest

from tests.report_runs import lines


def test_steps_keep_their_notes_and_outcomes(history) -> None:
    steps = history("failed").steps
    assert [(step.title, step.outcome) for step in steps] == [
        ("Host keys", "ok"),
        ("Preflight", "ok"),
        ("Files to install", "ok"),
        ("Certificates", "ok"),
        ("Inventory", "ok"),
    ]
    assert steps[1].notes == ["worker1: swap: ignored: swap is <on> & in use"]
    assert steps[1].seconds == pytest.approx(2.3)


def test_stages_run_from_one_phase_to_the_next(history) -> None:
    stages = history("failed").stages
    assert [(stage.number, stage.title) for stage in stages] == [
        (1, "Prepare hosts"),
        (2, "etcd"),
        (3, "Join nodes"),
    ]
    assert [stage.seconds for stage in stages] == pytest.approx([13.0, 18.0, 9.6])


def test_a_phase_that_comes_in_batches_is_one_stage(history) -> None:
    plays = [(1, "etcd", "m1"), (2, "etcd", "m2"), (3, "kubelet", "m1"), (5, "etcd", "m1")]
    read = history(
        lines(
            *(
                {"kind": kind, "time": time, "phase": phase, "hosts": [host]}
                for time, phase, host in plays
                for kind in ("play_started", "task_started")
            )
        )
    )
    assert [(stage.phase, stage.seconds) for stage in read.stages] == [
        ("etcd", 2),
        ("kubelet", 2),
        ("etcd", 0),
    ]


def test_everything_waits_for_the_host_that_ends_a_task_last(history) -> None:
    host, etcd, kubelet = history("failed").stages
    assert host.waits == {"master1": pytest.approx(12.8)}
    assert etcd.waits == {"master3": pytest.approx(15.6), "master2": pytest.approx(2.0)}
    assert kubelet.waits == {"worker1": pytest.approx(0.6 + 0.5 + 8.0)}


def test_how_tasks_ended(history) -> None:
    outcomes = {(work.host, work.task): work.outcome for work in history("failed").works}
    assert outcomes["worker2", "Install packages and load kernel settings"] == "unreachable"
    assert outcomes["master3", "Install and start etcd"] == "failed"
    assert outcomes["master1", "Restart etcd, one member at a time"] == "skipped"
    assert outcomes["worker1", "Join nodes that have not"] == "ignored"


def test_what_ran_when_the_record_was_cut_off_runs_to_its_end(history) -> None:
    read = history("cut")
    (stage,) = read.stages
    assert [(work.host, work.outcome, work.end == read.end) for work in stage.works] == [
        ("master1", "changed", True),
        ("master2", "unfinished", True),
        ("master3", "unfinished", True),
    ]
    assert stage.seconds == pytest.approx(2.9)


def test_a_step_that_was_cut_off_runs_to_the_end(history) -> None:
    step = {"step": "pki", "title": "Certificates"}
    (read,) = history(
        lines(
            {"kind": "step_started", "time": 1, **step}, {"kind": "step_note", "time": 4, "text": "n", **step}
        )
    ).steps
    assert (read.outcome, read.seconds, read.notes) == ("unfinished", 3, ["n"])


def test_hooks_are_steps_and_end_the_phase_before(history) -> None:
    hook = {"command": ["./hook", "a b"], "when": "before", "phase": "kubelet"}
    read = history(
        lines(
            {"kind": "play_started", "time": 1, "phase": "etcd", "hosts": ["m1"]},
            {"kind": "task_started", "time": 1, "phase": "etcd"},
            {"kind": "phase_due", "time": 3, "phase": "kubelet", "hosts": ["m1"]},
            {"kind": "hook_started", "time": 3, **hook},
            {"kind": "hook_finished", "time": 8, **hook, "rc": 0},
            {"kind": "hook_started", "time": 8, **hook},
            {
                "kind": "hook_finished",
                "time": 9,
                **hook,
                "rc": 1,
                "failure": "ended with code 1",
                "ignored": True,
            },
            {"kind": "hook_started", "time": 9, **hook},
            {
                "kind": "hook_finished",
                "time": 11,
                **hook,
                "rc": 1,
                "failure": "ended with code 1",
                "stderr": ["no"],
            },
        )
    )
    assert [(stage.phase, stage.seconds) for stage in read.stages] == [("etcd", 2)]
    assert [(step.outcome, step.seconds, step.notes) for step in read.steps] == [
        ("ok", 5, []),
        ("ignored", 1, ["ended with code 1"]),
        ("failed", 2, ["ended with code 1", "no"]),
    ]
    assert read.steps[0].title == "hook before kubelet: ./hook 'a b'"


def test_plays_of_a_phase_are_one_stage_also_where_one_has_nothing_to_do(history) -> None:
    play = {"kind": "play_started", "phase": "etcd", "hosts": ["m1"]}
    read = history(lines({"time": 1, **play}, {"time": 2, **play}))
    assert len(read.stages) == 1


def test_a_host_that_failed_takes_no_part_in_what_was_cut_off(history) -> None:
    read = history(
        lines(
            {"kind": "play_started", "time": 1, "phase": "etcd", "hosts": ["m1", "m2"]},
            {"kind": "task_started", "time": 2, "phase": "etcd"},
            {"kind": "task_result", "time": 3, "phase": "etcd", "host": "m1", "status": "failed"},
            {"kind": "task_result", "time": 3, "phase": "etcd", "host": "m2", "status": "ok"},
            {"kind": "task_started", "time": 4, "phase": "etcd"},
        )
    )
    assert [work.host for work in read.works if work.outcome == "unfinished"] == ["m2"]


def test_no_events(history) -> None:
    read = history("")
    assert (read.seconds, read.hosts, read.stages, read.steps) == (0, (), [], [])

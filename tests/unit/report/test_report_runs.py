import pytest

from k8sbootstrap.errors import StateError
from k8sbootstrap.report.runs import find_run, list_runs
from k8sbootstrap.state import State
from tests.report_runs import SUMMARY, make_run

OLD, SAME_DAY, NEW = "20261123T080000Z-00000a", "20261124T080000Z-00000b", "20261124T090000Z-00000c"


@pytest.fixture
def runs(state: State) -> State:
    make_run(state, "failed", name=OLD, summary=SUMMARY)
    make_run(state, "failed", name=NEW, summary=SUMMARY | {"command": "k8sbootstrap reset", "outcome": "ok"})
    make_run(state, "cut", name=SAME_DAY)
    (state.runs / "notes").mkdir()
    return state


def test_newest_first_and_nothing_but_runs(runs: State) -> None:
    assert [(run.id, str(run)) for run in list_runs(runs)] == [
        (NEW, "k8sbootstrap reset: ok, 45.2 s"),
        (SAME_DAY, "k8sbootstrap up: unfinished"),
        (OLD, "k8sbootstrap up: failed, 45.2 s"),
    ]


@pytest.mark.parametrize(
    ("wanted", "found"), [(None, NEW), (NEW, NEW), ("20261123", OLD), ("20261124T08", SAME_DAY)]
)
def test_by_id_by_its_beginning_or_the_newest(runs: State, wanted: str | None, found: str) -> None:
    assert find_run(runs, "demo", wanted).id == found


@pytest.mark.parametrize(
    ("wanted", "problem", "listed"),
    [
        ("2025", 'no run begins with "2025"', [NEW, SAME_DAY, OLD]),
        ("20261124", 'several runs begin with "20261124"', [NEW, SAME_DAY]),
        ("../x", 'no run begins with "../x"', [NEW, SAME_DAY, OLD]),
    ],
)
def test_an_unknown_run_lists_those_that_there_are(
    runs: State, wanted: str, problem: str, listed: list[str]
) -> None:
    with pytest.raises(StateError) as raised:
        find_run(runs, "demo", wanted)
    first, *rest = str(raised.value).splitlines()
    assert first == f"{problem}; the cluster demo has these runs:"
    assert [line.split()[0] for line in rest] == listed
    assert raised.value.hint
    assert raised.value.exit_code == 9


def test_a_cluster_without_runs(state: State) -> None:
    with pytest.raises(StateError, match="cluster demo has no runs") as raised:
        find_run(state, "demo", None)
    assert "k8sbootstrap up" in raised.value.hint


@pytest.mark.parametrize("damage", ["", "{", '{"id": 1}', "[]"])
def test_a_damaged_summary_is_none(state: State, damage: str) -> None:
    directory = make_run(state, "", name=NEW)
    (directory / "summary.json").write_text(damage)
    assert str(find_run(state, "demo", None)) == "unknown command: unfinished"


def test_summaries_of_older_versions_lack_the_hint(state: State) -> None:
    older = {name: value for name, value in SUMMARY.items() if name != "hint"}
    make_run(state, "", name=NEW, summary=older)
    assert find_run(state, "demo", None).outcome == "failed"

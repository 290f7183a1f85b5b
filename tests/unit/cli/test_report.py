"""k8sbootstrap report: which run, and where to."""

from pathlib import Path

import pytest

from k8sbootstrap.state import State
from tests.report_runs import CLUSTER, SUMMARY, make_run

OLD, NEW = "20261123T080000Z-00000a", "20261124T090000Z-00000b"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster with two runs, in the current directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    state = State.beside(tmp_path / "cluster.yaml", "demo")
    make_run(state, "failed", name=OLD, summary=SUMMARY, inventory=True)
    make_run(state, "cut", name=NEW)
    return tmp_path


def test_the_newest_run_goes_to_a_file_of_its_name(run, folder: Path) -> None:
    ran = run("report")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"report-{NEW}.html: k8sbootstrap up: unfinished\n"
    text = (folder / f"report-{NEW}.html").read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert "Unfinished" in text


def test_another_run_goes_to_another_file(run, folder: Path) -> None:
    (folder / "page.html").touch(mode=0o644)
    ran = run("report", "20261123", "--output", "page.html")
    assert (folder / "page.html").stat().st_mode & 0o777 == 0o600
    assert ran.out == "page.html: k8sbootstrap up: failed, 45.2 s\n"
    assert OLD in (folder / "page.html").read_text()
    assert not list(folder.glob("report-*"))


def test_a_dash_prints_the_page_and_nothing_else(run, folder: Path) -> None:
    ran = run("report", "--output", "-")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("<!DOCTYPE html>")
    assert ran.out.endswith("</html>\n")
    assert not list(folder.glob("*.html"))


@pytest.mark.parametrize("wanted", ["2019", "2026"])
def test_an_unknown_run_is_9_and_lists_the_runs(run, folder: Path, wanted: str) -> None:
    ran = run("report", wanted)
    assert (ran.code, ran.out) == (9, "")
    assert f"  {NEW}  k8sbootstrap up: unfinished\n  {OLD}  k8sbootstrap up: failed, 45.2 s\n" in ran.err
    assert "Next: Give the id" in ran.err
    assert not list(folder.glob("*.html"))


def test_a_cluster_that_was_never_up(run, folder: Path) -> None:
    (folder / "cluster.yaml").write_text(CLUSTER.replace("name: demo", "name: other"))
    ran = run("report")
    assert ran.code == 9
    assert "cluster other has no runs" in ran.err


def test_keys_that_are_gone_do_not_matter(run, folder: Path) -> None:
    (folder / "cluster.yaml").write_text(CLUSTER + "ssh: {key: gone}\n")
    assert run("report").code == 0


def test_a_cluster_file_without_a_name_is_3(run, folder: Path) -> None:
    (folder / "cluster.yaml").write_text(CLUSTER.replace("name: demo", "name: Demo"))
    assert run("report").code == 3


def test_a_file_that_can_not_be_written(run) -> None:
    ran = run("report", "--output", "/nonexistent/page.html")
    assert (ran.code, ran.out) == (1, "")
    assert "/nonexistent/page.html" in ran.err
    assert "No such file or directory" in ran.err


def _completed(run, monkeypatch: pytest.MonkeyPatch, words: str) -> list[str]:
    monkeypatch.setenv("_K8SBOOTSTRAP_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    return [line for line in run().out.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("k8sbootstrap report ", [f"plain,{NEW}", f"plain,{OLD}"]),
        ("k8sbootstrap -f cluster.yaml report 20261123", [f"plain,{OLD}"]),
        ("k8sbootstrap -f nowhere.yaml report ", []),
    ],
)
def test_runs_are_completed(run, monkeypatch: pytest.MonkeyPatch, words: str, found: list[str]) -> None:
    assert _completed(run, monkeypatch, words) == found

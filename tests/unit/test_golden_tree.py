"""Golden files of scenarios: what is kept, and that nothing that differs is overlooked."""

from pathlib import Path

import pytest

from tests.golden_tree import ABOUT, check_folders, check_tree, golden_paths, remove_folders, write_tree

FULL = {"host/a": "a\n", "host/b": "b\n", "host/c": "c\n"}
OTHER = {"host/a": "a\n", "host/b": "other\n", "host/new": "new\n"}


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    """A whole scenario, one that is like it, and one that is like that one."""
    write_tree(tmp_path / "full", FULL)
    write_tree(tmp_path / "other", OTHER, "full")
    write_tree(tmp_path / "third", OTHER | {"host/c": "c\n"}, "other")
    return tmp_path


def kept(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_only_what_differs_is_kept(trees: Path) -> None:
    assert kept(trees / "full") == set(FULL)
    assert kept(trees / "other") == {ABOUT, "host/b", "host/new"}
    assert (trees / "other" / ABOUT).read_text() == "like: full\nlacks:\n- host/c\n"
    assert kept(trees / "third") == {ABOUT, "host/c"}
    check_tree(trees / "full", FULL)
    check_tree(trees / "other", OTHER, "full")
    check_tree(trees / "third", OTHER | {"host/c": "c\n"}, "other")


def test_all_files_of_a_scenario_are_found(trees: Path) -> None:
    for name, files in {"full": FULL, "other": OTHER, "third": OTHER | {"host/c": "c\n"}}.items():
        assert {key: path.read_text() for key, path in golden_paths(trees / name).items()} == files


@pytest.mark.parametrize(("name", "files", "like"), [("full", FULL, None), ("other", OTHER, "full")])
def test_every_difference_fails(trees: Path, name: str, files: dict[str, str], like: str | None) -> None:
    for changed in files:
        with pytest.raises(AssertionError, match=f"{changed} differs from .*{changed}"):
            check_tree(trees / name, files | {changed: "changed\n"}, like)
        with pytest.raises(AssertionError, match="golden files of what is not made any more"):
            check_tree(trees / name, {key: text for key, text in files.items() if key != changed}, like)
    with pytest.raises(AssertionError, match="no golden file for these"):
        check_tree(trees / name, files | {"host/more": "x"}, like)


def test_what_a_scenario_lacks_is_additional_there(trees: Path) -> None:
    with pytest.raises(AssertionError, match="no golden file for these"):
        check_tree(trees / "other", OTHER | {"host/c": "c\n"}, "full")


def test_a_change_of_the_full_scenario_fails_in_those_that_are_like_it(trees: Path) -> None:
    (trees / "full/host/a").write_text("changed\n")
    with pytest.raises(AssertionError, match="host/a differs"):
        check_tree(trees / "other", OTHER, "full")


def test_what_is_kept_twice_fails_until_it_is_written_anew(trees: Path) -> None:
    (trees / "other/host/a").write_text("a\n")
    with pytest.raises(AssertionError, match="keeps files that are like those of full"):
        check_tree(trees / "other", OTHER, "full")
    write_tree(trees / "other", OTHER, "full")
    assert kept(trees / "other") == {ABOUT, "host/b", "host/new"}


def test_a_file_that_the_full_scenario_has_no_more_is_no_longer_lacking(trees: Path) -> None:
    (trees / "full/host/c").unlink()
    with pytest.raises(AssertionError, match="is not up to date"):
        check_tree(trees / "other", OTHER, "full")
    write_tree(trees / "other", OTHER, "full")
    assert (trees / "other" / ABOUT).read_text() == "like: full\nlacks: []\n"


def test_folders_of_other_scenarios_go(trees: Path) -> None:
    with pytest.raises(AssertionError, match="--update-golden"):
        check_folders(trees, ["full", "other"])
    remove_folders(trees, ["full", "other"])
    check_folders(trees, ["full", "other"])

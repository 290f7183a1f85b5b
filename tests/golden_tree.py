"""Golden files of scenarios that have most files alike: each is kept once.

A scenario is a folder. One that is like another says so in its ``scenario.yaml``: the folder has only the
files that differ from the other's, and ``lacks`` lists those that it does not have at all.
"""

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

ABOUT = "scenario.yaml"


def golden_paths(folder: Path) -> dict[str, Path]:
    """Where the golden file of each file of a scenario is."""
    about = _about(folder)
    others = _paths_of_the_other(folder, about.get("like"))
    return {name: path for name, path in others.items() if name not in about["lacks"]} | _own(folder)


def check_tree(folder: Path, files: Mapping[str, str], like: str | None = None) -> None:
    """Compare all files of a scenario with its golden ones.

    Args:
        folder: The scenario's.
        files: Text by path.
        like: Name of the scenario that it is like; None keeps all of it.

    Raises:
        AssertionError: A file differs, is missing or additional; or more is kept than is needed.
    """
    paths = golden_paths(folder)
    advice = "(pytest --update-golden)"
    additional, missing = sorted(files.keys() - paths.keys()), sorted(paths.keys() - files.keys())
    assert not additional, f"{folder} has no golden file for these {advice}"
    assert not missing, f"{folder} has golden files of what is not made any more {advice}"
    for name, text in files.items():
        assert text == paths[name].read_text(encoding="utf-8"), f"{name} differs from {paths[name]} {advice}"
    about, kept = _to_keep(folder, files, like)
    assert _about(folder) == about, f"{folder / ABOUT} is not up to date {advice}"
    assert set(_own(folder)) == set(kept), f"{folder} keeps files that are like those of {like} {advice}"


def write_tree(folder: Path, files: Mapping[str, str], like: str | None = None) -> None:
    """Make ``files`` the golden ones of a scenario; the one that it is like must be up to date."""
    about, kept = _to_keep(folder, files, like)
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in kept.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if like:
        folder.mkdir(exist_ok=True)
        (folder / ABOUT).write_text(yaml.safe_dump(about, sort_keys=False), encoding="utf-8")


def _to_keep(
    folder: Path, files: Mapping[str, str], like: str | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """What ``scenario.yaml`` has to say, and the files that the scenario needs itself."""
    others = _paths_of_the_other(folder, like)
    kept = {
        name: text
        for name, text in files.items()
        if name not in others or others[name].read_text(encoding="utf-8") != text
    }
    about = {"like": like} if like else {}
    return about | {"lacks": sorted(others.keys() - files.keys())}, kept


def _about(folder: Path) -> dict[str, Any]:
    path = folder / ABOUT
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))) if path.exists() else {"lacks": []}


def _paths_of_the_other(folder: Path, like: str | None) -> dict[str, Path]:
    return golden_paths(folder.with_name(like)) if like else {}


def _own(folder: Path) -> dict[str, Path]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / ABOUT)
    return {str(path.relative_to(folder)): path for path in paths}


def check_folders(parent: Path, names: Collection[str]) -> None:
    """See that ``parent`` has a folder for each of these scenarios, and no other.

    Raises:
        AssertionError: It has not.
    """
    assert {path.name for path in parent.iterdir()} == set(names), f"of {parent} (pytest --update-golden)"


def remove_folders(parent: Path, names: Collection[str]) -> None:
    """Remove the folders of other scenarios than these."""
    for path in parent.iterdir():
        if path.name not in names:
            shutil.rmtree(path)

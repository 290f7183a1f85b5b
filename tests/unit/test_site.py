"""The site of the documentation can be built, has every page, and a broken link stops the build."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    return tmp_path


def build(project: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "zensical"), "build", "--strict"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=120)


def pages(nav: Any) -> Iterator[str]:
    for entry in nav:
        for target in entry.values():
            yield from [target] if isinstance(target, str) else pages(target)


def test_the_navigation_has_every_page_once() -> None:
    nav = list(pages(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]))
    assert sorted(nav) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))


def test_the_site_is_built_and_loads_nothing_from_other_servers(project: Path) -> None:
    done = build(project)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in (project / "site").rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|link|iframe)\b[^>]*(?:src|href)=\"(https?://[^\"]*)", page.read_text()
        )
        assert [url for url in loaded if url.startswith("http")] == []


@pytest.mark.parametrize("target", ["nowhere.md", "etcd.md#nothing"])
def test_a_broken_link_stops_the_build(project: Path, target: str) -> None:
    with (project / "docs" / "index.md").open("a") as page:
        page.write(f"\n[broken]({target})\n")
    assert build(project).returncode != 0

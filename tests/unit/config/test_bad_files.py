"""Every file in bad/ is wrong where, and in the words in which, its own ``# expect:`` comments say.

``...`` at the end of a comment stands for anything; FOLDER for the folder of the file.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from k8sbootstrap.config import document, rules
from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.load import load_cluster
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.errors import ConfigError
from tests.unit.config.config_examples import BAD

FILES = sorted(BAD.glob("*.yaml"))


def expected(text: str, folder: Path) -> set[tuple[int, str]]:
    return {
        (number, what.strip().replace("FOLDER", str(folder)))
        for number, line in enumerate(text.splitlines(), start=1)
        for what in line.split("# expect:")[1:]
    }


@pytest.mark.parametrize("bad", FILES, ids=lambda file: file.stem)
def test_says_everything_that_is_wrong(bad: Path, write: Callable[[str], Path], folder: Path) -> None:
    text = bad.read_text(encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_cluster(write(text))
    wanted = expected(text, folder)
    beginnings = tuple(what.removesuffix("...") for _, what in wanted if what.endswith("..."))
    found = [
        (
            problem.line,
            next((f"{b}..." for b in beginnings if problem.described.startswith(b)), problem.described),
        )
        for problem in caught.value.problems
    ]
    assert set(found) == wanted
    assert len(found) == len(set(found)), "a problem is reported twice"
    assert found == sorted(found, key=lambda each: each[0]), "problems are not in the order of lines"


def test_problems_name_the_file_as_it_was_given(write: Callable[[str], Path]) -> None:
    file = write((BAD / "version.yaml").read_text())
    with pytest.raises(ConfigError) as caught:
        load_cluster(file)
    assert str(caught.value).startswith(f"{file}:4 kubernetes.version: Kubernetes 1.20.2 ")


def test_no_value_of_a_secret_is_shown(write: Callable[[str], Path]) -> None:
    for name in ("secrets", "names", "logins-without-tls", "snapshots-s3-names", "snapshots-s3-login"):
        with pytest.raises(ConfigError) as caught:
            load_cluster(write((BAD / f"{name}.yaml").read_text()))
        assert not re.search("hunter2|user:secret", str(caught.value))


@pytest.mark.parametrize("rule", [*rules.RULES, *rules.LOCAL_RULES], ids=lambda rule: rule.__name__)
def test_every_rule_has_a_file_that_breaks_it(rule: Callable[..., object], folder: Path) -> None:
    local = rule in rules.LOCAL_RULES
    for bad in FILES:
        source = document.parse(bad.read_text(encoding="utf-8"), folder / "cluster.yaml")
        draft = Draft.of(source.data, locations_of_errors(source.data))
        if list(rule(draft, folder) if local else rule(draft)):  # type: ignore[call-overload]
            return
    pytest.fail("no file in bad/ breaks this rule")


def locations_of_errors(data: object) -> list[tuple[str | int, ...]]:
    try:
        Cluster.model_validate(data, by_alias=True, by_name=False)
    except ValueError as exc:
        return [error["loc"] for error in exc.errors()]  # type: ignore[attr-defined]
    return []


_NO_TEXT = "control characters or bytes that are not UTF-8"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("a ${x}", "'${', which OpenSSH replaces,"),
        ("$x $HOME", "'$HOME', which Ansible replaces,"),
        ("{{CWD}}", "'{{CWD}}', which Ansible replaces,"),
        ("two\nlines", _NO_TEXT),
        ("\udcff", _NO_TEXT),
    ],
)
def test_a_folder_that_does_not_reach_openssh_and_ansible_as_it_is_is_refused(
    tmp_path: Path, write: Callable[[str], Path], name: str, wrong: str
) -> None:
    good = write((BAD / "version.yaml").read_text().replace("1.20.2", "1.36.2"))
    load_cluster(good)
    folder = tmp_path / name
    folder.mkdir()
    with pytest.raises(ConfigError) as caught:
        load_cluster(good.rename(folder / "cluster.yaml"))
    [problem] = caught.value.problems
    assert (
        problem.described == f"the directory {str(folder)!r} has {wrong} in its path; move the file elsewhere"
    )

"""The words for changes are the same on hosts, on the controller, in what people read and in the docs."""

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import get_args

from k8sbootstrap.cli import plan as cli_plan
from k8sbootstrap.hosts import scripts
from k8sbootstrap.plan import changes
from k8sbootstrap.resources import data_dir, host_code_dir, shared_rules

ON_HOSTS = shared_rules("changes")
SENDERS = (
    *host_code_dir().rglob("*.py"),
    *(data_dir() / "playbooks" / "library").glob("*.py"),
    *Path(scripts.__path__[0]).glob("*.py"),
)
DOCS = Path(__file__).resolve().parents[3] / "docs" / "plan.md"


def sent() -> Iterator[tuple[str, str]]:
    """Kind and action of every call of ``change`` in what runs on hosts."""
    for path in SENDERS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "change":
                yield from product(*map(words, node.args[:2]))


def words(node: ast.expr) -> list[str]:
    """The words that an argument may be."""
    if isinstance(node, ast.IfExp):
        return [*words(node.body), *words(node.orelse)]
    assert isinstance(node, ast.Constant), f"not a literal: {ast.unparse(node)}"
    return [str(node.value)]


def test_hosts_and_the_controller_use_the_same_words() -> None:
    for name in ("Kind", "Action", "Cause"):
        assert get_args(getattr(changes, name)) == get_args(getattr(ON_HOSTS, name))


def test_each_word_is_used_and_has_a_text() -> None:
    pairs = set(sent())
    assert pairs == set(ON_HOSTS._WORDS)
    assert {kind for kind, _ in pairs} == set(get_args(changes.Kind))
    assert {action for _, action in pairs} == set(get_args(changes.Action))


def test_plan_has_a_verb_for_each_action() -> None:
    assert set(cli_plan._VERBS) == set(get_args(changes.Action))
    assert set(cli_plan._SIGNS) | set(cli_plan._OBJECTS) <= set(get_args(changes.Action))
    assert set(cli_plan._CAUSES) | {"new"} == set(get_args(changes.Cause))


def test_the_docs_list_what_modules_send() -> None:
    (row,) = re.findall(r"^\| `kind`, `action` \| (.*) \|$", DOCS.read_text(), re.MULTILINE)
    listed = re.findall(r"`(\w+)` ([^;]+)", row)
    pairs = {(kind, action.strip()) for kind, actions in listed for action in actions.split(",")}
    assert pairs == set(sent())

"""Patterns end where the text ends: ``$`` in Python's re also matches before a newline at the end."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from k8sbootstrap.config.models import base

ROOT = Path(__file__).parents[2]
FILES = sorted(path for folder in ("k8sbootstrap", "playbooks") for path in (ROOT / folder).rglob("*.py"))
LOOSE = {"match", "search", "compile", "findall", "finditer", "split", "sub"}
FOR_PYDANTIC = {name for name, value in vars(base).items() if isinstance(value, str) and value.endswith("$")}
"""Constants that are pydantic's patterns."""


def loose_ends(code: str) -> Iterator[str]:
    """Calls of re with a pattern whose ``$`` lets a newline through."""
    for node in ast.walk(ast.parse(code)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and node.args):
            continue
        pattern, by_lines = node.args[0], "MULTILINE" in ast.unparse(node)
        if isinstance(pattern, ast.Constant):
            text = str(pattern.value)
            if node.func.attr in LOOSE and text.endswith("$") and not by_lines and "(?m)" not in text:
                yield ast.unparse(node)
        elif node.func.attr in {"match", "search"} and ast.unparse(pattern).split(".")[-1] in FOR_PYDANTIC:
            yield ast.unparse(node)


def test_no_pattern_lets_a_newline_through() -> None:
    found = {f"{path.relative_to(ROOT)}: {each}" for path in FILES for each in loose_ends(path.read_text())}
    assert not found


@pytest.mark.parametrize(
    "code", ["re.compile('^a$')", "re.match(VERSION, text)", "re.search(base.DNS_NAME, text)"]
)
def test_a_loose_end_is_found(code: str) -> None:
    assert list(loose_ends(code))


def test_pydantic_takes_no_newline_at_the_end() -> None:
    assert "VERSION" in FOR_PYDANTIC
    for constraint in (StringConstraints(pattern=base.VERSION), Field(pattern=base.VERSION)):
        adapter = TypeAdapter(Annotated[str, constraint])
        assert adapter.validate_python("1.2.3") == "1.2.3"
        with pytest.raises(ValidationError):
            adapter.validate_python("1.2.3\n")

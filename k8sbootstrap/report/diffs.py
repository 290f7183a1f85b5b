"""Ansible's diffs as lines that a page can colour."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

LINES = 400
"""Lines shown of one diff."""
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_NO_NAMES = {"/dev/null", "before", "after"}
Kind = Literal["added", "removed", "same", "hunk", "head"]


@dataclass(frozen=True)
class Line:
    """One line of a diff."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Diff:
    """What changed in one file."""

    title: str
    """The file, or what the diff says when it names none."""
    added: int
    removed: int
    lines: tuple[Line, ...]
    """Empty where the title says it all, as it does for files whose contents are secret."""
    left_out: int = 0
    """Lines beyond ``LINES``."""


def read_diffs(diff: Any) -> list[Diff]:
    """The diffs of one result.

    Args:
        diff: Ansible's form: one or a list of {"prepared": text} or {"before": ..., "after": ...}.
    """
    items = diff if isinstance(diff, list) else [diff]
    found = (_read(item) for item in items if isinstance(item, Mapping))
    return [each for each in found if each is not None]


def _read(item: Mapping[str, Any]) -> Diff | None:
    text = str(item["prepared"]) if "prepared" in item else _compared(item)
    lines = list(_lines(text))
    if not lines:
        return None
    if len(lines) == 1:
        return Diff(lines[0].text, 0, 0, ())
    return Diff(
        title=_title(item, lines),
        added=sum(line.kind == "added" for line in lines),
        removed=sum(line.kind == "removed" for line in lines),
        lines=tuple(lines[:LINES]),
        left_out=max(0, len(lines) - LINES),
    )


def _compared(item: Mapping[str, Any]) -> str:
    """A unified diff of what was before and what is after."""
    before, after = (_text(item.get(side)).splitlines() for side in ("before", "after"))
    old, new = (str(item.get(f"{side}_header") or side) for side in ("before", "after"))
    return "\n".join(difflib.unified_diff(before, after, old, new, lineterm=""))


def _text(content: Any) -> str:
    if content is None:
        return ""
    return content if isinstance(content, str) else json.dumps(content, indent=2, sort_keys=True, default=str)


def _lines(text: str) -> Iterator[Line]:
    """Tell the lines apart. Inside a hunk the first character decides; its head says how long it is."""
    before = after = 0
    for line in text.splitlines():
        hunk = _HUNK.match(line)
        if before <= 0 and after <= 0 and hunk:
            before, after = (int(number or 1) for number in hunk.groups())
            yield Line("hunk", line)
        elif before <= 0 and after <= 0:
            yield Line("head", line)
        elif line.startswith("+"):
            after -= 1
            yield Line("added", line)
        elif line.startswith("-"):
            before -= 1
            yield Line("removed", line)
        elif line.startswith("\\"):
            yield Line("head", line)
        else:
            before, after = before - 1, after - 1
            yield Line("same", line)


def _title(item: Mapping[str, Any], lines: list[Line]) -> str:
    for prefix in ("+++ ", "--- "):
        for line in lines:
            name = line.text.removeprefix(prefix).partition("\t")[0]
            if line.kind == "head" and line.text.startswith(prefix) and name not in _NO_NAMES:
                return name
    return str(item.get("path") or "contents")

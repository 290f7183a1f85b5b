"""A YAML file as plain data that remembers on which line everything was written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from k8sbootstrap.errors import Problem
from k8sbootstrap.formats.bounded import require_bounded

Location = tuple[str | int, ...]
"""Keys and list positions from the top of a document, spelled as in the file."""

_PLAIN_KEY = re.compile(r"\w[\w-]*")
_MAX_BYTES = 4 << 20
_MAX_VALUES = 100_000
_MERGE = "tag:yaml.org,2002:merge"
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


def spell(location: Location) -> str:
    """Write a location as users read it.

    Returns:
        For example ``hosts[1].labels["example.com/rack"]``; empty for the top of the document.
    """
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


@dataclass
class Document:
    """The content of one YAML file.

    Args:
        file: The file, spelled as the user gave it.
    """

    file: Path
    data: Any = None
    """Dicts, lists and scalars."""
    problems: list[Problem] = field(default_factory=list)
    """What is wrong with the file as YAML: syntax, duplicate keys."""
    lines: dict[Location, int] = field(default_factory=dict)
    """1-based line of every key and list entry."""

    def line(self, location: Location) -> int:
        """The line of a location, or of the nearest thing around it; 1 for an empty file."""
        for length in range(len(location), -1, -1):
            if location[:length] in self.lines:
                return self.lines[location[:length]]
        return 1

    def problem(self, location: Location, message: str, fix: str) -> Problem:
        """A problem with the value at ``location``, its line filled in."""
        return Problem(self.file, self.line(location), spell(location), message, fix)


def read(file: Path, kind: str = "a cluster file", max_bytes: int = _MAX_BYTES) -> Document:
    """Read a YAML file. Never raises for what users can get wrong; the result's ``problems`` say it.

    Args:
        file: The file.
        kind: What it should be.
        max_bytes: How large it may be.
    """
    try:
        with file.open("rb") as content:
            text = content.read(max_bytes + 1)
        if len(text) <= max_bytes:
            return parse(text.decode(), file)
        message = f"is larger than {max_bytes >> 20} MiB, too large for {kind}"
    except FileNotFoundError:
        message = 'does not exist; name the file with -f, or write one with "k8sbootstrap init"'
    except UnicodeDecodeError:
        message = "is not UTF-8 text; save it as UTF-8"
    except OSError as exc:
        message = f"cannot be read: {exc.strerror or type(exc).__name__}"
    return Document(file, problems=[Problem(file, 0, "", message, "")])


def parse(text: str, file: Path) -> Document:
    """Read YAML that is in memory.

    Args:
        text: The YAML.
        file: The file that it is in, or will be: problems name it.
    """
    document = Document(file)
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as exc:
        document.problems.append(_syntax_problem(file, exc))
        return document
    try:
        node = loader.get_single_node()
        if node is not None:
            require_bounded(node, _MAX_VALUES)
            document.data = _Reader(loader, document).value(node, ())
    except yaml.YAMLError as exc:
        document.problems.append(_syntax_problem(file, exc))
    except RecursionError:
        document.problems.append(Problem(file, 0, "", "is nested too deeply", ""))
    finally:
        loader.dispose()
    return document


def _syntax_problem(file: Path, exc: yaml.YAMLError) -> Problem:
    detail = getattr(exc, "problem", None) or str(exc).splitlines()[0]
    # What the end of the file breaks off is better looked for where it began.
    mark = getattr(exc, "context_mark" if "<stream end>" in detail else "problem_mark", None)
    line = mark.line + 1 if mark is not None else 0
    if "but found another document" in str(detail):
        return Problem(file, line, "", "contains more than one YAML document; use one file for each", "")
    if "character '\\t'" in str(detail):
        return Problem(file, line, "", "is indented with a tab; use spaces", "")
    context = getattr(exc, "context", None)
    detail = f"{detail} ({context})" if context else detail
    return Problem(file, line, "", f"is not valid YAML: {detail}", "")


class _Reader:
    """Turns YAML nodes into values, and records their lines."""

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._flattened: set[int] = set()

    def value(self, node: yaml.Node, location: Location) -> Any:
        """The value of ``node``, whose place is ``location``."""
        self._document.lines.setdefault(location, node.start_mark.line + 1)
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS:
            raise yaml.MarkedYAMLError(problem=f"unknown tag {node.tag}", problem_mark=node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, location))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*location, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _pairs(self, node: yaml.MappingNode, location: Location) -> Iterator[tuple[Any, Any]]:
        if id(node) not in self._flattened:  # an aliased mapping comes by once per alias
            self._flattened.add(id(node))
            self._check_duplicates(node, location)
            self._loader.flatten_mapping(node)
        for key_node, value_node in node.value:
            key = self._key(key_node)
            inner = (*location, key if type(key) in (str, int) else str(key))
            self._document.lines[inner] = key_node.start_mark.line + 1
            yield key, self.value(value_node, inner)

    def _check_duplicates(self, node: yaml.MappingNode, location: Location) -> None:
        first: dict[Any, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key, line = self._key(key_node), key_node.start_mark.line + 1
            if (same := (type(key), key)) in first:
                where = spell((*location, str(key)))
                what = f"the key is given twice, first on line {first[same]}"
                self._document.problems.append(
                    Problem(self._document.file, line, where, what, "remove one of them")
                )
            first.setdefault(same, line)

    def _key(self, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=node.start_mark)
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self._loader.construct_object(node)
        except ValueError as exc:
            raise yaml.MarkedYAMLError(problem=str(exc), problem_mark=node.start_mark) from exc

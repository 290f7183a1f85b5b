"""Kubernetes objects in YAML or JSON files, read as kubectl reads them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from k8sbootstrap.formats.bounded import BoundedLoader

Object = dict[str, Any]


@dataclass(frozen=True)
class Sourced:
    """One object, and where it is written."""

    source: str
    """The file or URL that cluster.yaml names, or a file below it."""
    number: int
    """Which document of it, from 1."""
    object: Object

    @property
    def place(self) -> str:
        """As messages name it."""
        return f"{self.source}, document {self.number}"

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """API group, kind, namespace and name: the API server has one object of these."""
        metadata = self.object["metadata"]
        group = self.object["apiVersion"].rpartition("/")[0]
        return group, self.object["kind"], metadata.get("namespace", ""), metadata["name"]

    @property
    def title(self) -> str:
        """``Kind/namespace/name``, or ``Kind/name``."""
        return "/".join(part for part in self.identity[1:] if part)


class ObjectError(ValueError):
    """A file does not hold objects; the text names the file, the document and what is wrong with it."""


def read_file(path: Path, source: str) -> list[Sourced]:
    """Read the objects of a file.

    Args:
        path: Where it is.
        source: What messages call it.

    Raises:
        ObjectError: It can't be read, or does not hold objects.
    """
    try:
        return read_objects(path.read_text(encoding="utf-8"), source)
    except OSError as exc:
        raise ObjectError(f"{source} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ObjectError(f"{source} is not UTF-8 text") from exc


def read_objects(text: str, source: str, *, lenient: bool = False) -> list[Sourced]:
    """Read the objects of a file. Empty documents are left out, lists are taken apart.

    Args:
        text: Its content: any number of YAML documents, or JSON.
        source: What to call the file.
        lenient: Take the last of several values of a key, as helm does, instead of refusing them.

    Raises:
        ObjectError: It is not YAML, or something in it is no object.
    """
    found = []
    loader = _LenientLoader if lenient else _Loader
    try:
        for number, document in enumerate(yaml.load_all(text, Loader=loader), start=1):
            found += [Sourced(source, number, item) for item in _items(document, source, number)]
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        detail = getattr(exc, "problem", None) or str(exc).splitlines()[0]
        raise ObjectError(f"{source}{line} is not valid YAML: {detail}") from exc
    return found


def _items(document: Any, source: str, number: int) -> Iterator[Object]:
    if document is None:
        return
    where = f"{source}, document {number}"
    if not isinstance(document, dict):
        raise ObjectError(f"{where} is not a Kubernetes object but {_said(document)}")
    for key in ("apiVersion", "kind"):
        if not isinstance(document.get(key), str) or not document[key]:
            raise ObjectError(f"{where} has no {key}")
    if document["kind"].endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _items(item, source, number)
        return
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        more = " (generateName makes a new name each time)" if "generateName" in (metadata or {}) else ""
        raise ObjectError(f"{where} ({document['kind']}) has no metadata.name{more}")
    yield document


def _said(document: Any) -> str:
    return "a list" if isinstance(document, list) else f"the text {str(document)[:40]!r}"


class _Loader(BoundedLoader):
    """YAML as kubectl reads it: no dates, no base 60, and = is text. A key given twice is an error."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own


class _LenientLoader(_Loader):
    """The same, but the last of several values of a key counts."""


def _set_up() -> None:
    replaced = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp", "value")}
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items():
        kept = [(tag, pattern) for tag, pattern in resolvers if tag not in replaced]
        _Loader.yaml_implicit_resolvers[first] = kept
    integer = re.compile(r"^[-+]?(0[0-7]*|0x[0-9a-fA-F]+|[1-9][0-9]*)\Z")
    number = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
    _Loader.add_implicit_resolver("tag:yaml.org,2002:int", integer, list("-+0123456789"))
    _Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789."))
    for name in ("binary", "omap", "pairs", "set", "timestamp"):
        _Loader.yaml_constructors = {**_Loader.yaml_constructors}
        _Loader.yaml_constructors.pop(f"tag:yaml.org,2002:{name}")
    _Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _mapping(loader: Any, node: yaml.MappingNode) -> Object:
    seen = set()
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=key_node.start_mark)
        if key_node.value in seen and not isinstance(loader, _LenientLoader):
            problem = f"the key {key_node.value} is given twice"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
        seen.add(key_node.value)
    loader.flatten_mapping(node)
    return {key.value: loader.construct_object(value, deep=True) for key, value in node.value}


_set_up()

"""A rule about all text: it reaches units, configuration files and command lines as it is written."""

import re
from collections.abc import Iterator
from typing import Any

from k8sbootstrap.config.document import Document, Location
from k8sbootstrap.errors import Problem

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FREE = (
    ("kubernetes", "extraConfig"),
    ("manifests", "values"),
    ("network", "cilium", "values"),
    ("hooks", "command"),
)
"""Values that only reach documents of their own or a program of the user's: they may have several lines."""


def control_characters(document: Document) -> Iterator[Problem]:
    """No text holds a control character; a line break only where a value can have several lines."""
    for location, text in _texts(document.data, ()):
        found = {hit for hit in _CONTROL.findall(text) if not (hit in "\n\t" and _is_free(location))}
        if found:
            names = ", ".join(sorted(f"U+{ord(each):04X}" for each in found))
            what = "a line break" if found == {"\n"} else f"control characters ({names})"
            yield document.problem(location, f"contains {what}", "write it on one line, without them")


def _is_free(location: Location) -> bool:
    keys = tuple(step for step in location if isinstance(step, str))
    return any(keys[: len(free)] == free for free in _FREE)


def _texts(value: Any, location: Location) -> Iterator[tuple[Location, str]]:
    """Every text in ``value``, keys included."""
    if isinstance(value, str):
        yield location, value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from _texts(str(key), location)
            yield from _texts(entry, (*location, str(key)))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _texts(entry, (*location, index))

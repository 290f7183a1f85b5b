"""YAML and JSON that somebody else wrote: read as plain data, with bounds on what it can grow to.

A few lines of YAML can stand for billions of values, because an alias repeats all that its anchor holds.
PyYAML and pydantic go through every repetition, so the size is counted before anything is built.
"""

import json
from typing import IO, Any

import yaml

SafeLoader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's safe loader: the fast one, where libyaml is there."""
MAX_VALUES = 1_000_000
"""Values in one document, with what aliases and merge keys repeat. A large chart makes 50,000."""
MAX_DEPTH = 100
"""How deep lists and mappings may be nested."""


def require_bounded(node: yaml.Node, max_values: int = MAX_VALUES) -> None:
    """See that a YAML document does not grow without bounds when it is built.

    Args:
        node: The top of the document, composed but not constructed.
        max_values: How many values it may have, with what aliases and merge keys repeat.

    Raises:
        yaml.MarkedYAMLError: It has too many values, is nested too deeply, or an anchor refers to itself.
    """
    sizes: dict[int, int] = {}
    if _size(node, sizes, set(), 0) > max_values:
        raise _refused(f"its aliases make more than {max_values:,} values of it", node)


def load_yaml(source: str | bytes | IO[bytes]) -> Any:
    """The one document of a YAML text, as plain data.

    Raises:
        yaml.YAMLError: It is not valid YAML, or exceeds the bounds.
        ValueError: It is not UTF-8 text, or holds a number or date that is none.
    """
    return yaml.load(source, Loader=BoundedLoader)  # noqa: S506 - a safe loader


def load_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc


def load_own_yaml(text: str | bytes) -> Any:
    """The one document of a YAML text of this program, as plain data; its size is not checked.

    Raises:
        yaml.YAMLError: It is not valid YAML.
    """
    return yaml.load(text, Loader=SafeLoader)  # noqa: S506 - either loader is a safe one


class BoundedLoader(SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader, which refuses documents that exceed the bounds."""

    def construct_document(self, node: yaml.Node) -> Any:
        """Called by PyYAML with the top of each document."""
        require_bounded(node)
        return super().construct_document(node)


def _size(node: yaml.Node, sizes: dict[int, int], above: set[int], depth: int) -> int:
    """Values under ``node``, itself included. ``sizes`` keeps what is known: every node is seen once."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    key = id(node)
    if key in above:
        raise _refused("an anchor refers to itself", node)
    if key in sizes:
        return sizes[key]
    if depth > MAX_DEPTH:
        raise _refused(f"it is nested more than {MAX_DEPTH} levels deep", node)
    above.add(key)
    entries = (
        node.value if isinstance(node, yaml.SequenceNode) else [each for pair in node.value for each in pair]
    )
    sizes[key] = 1 + sum(_size(entry, sizes, above, depth + 1) for entry in entries)
    above.remove(key)
    return sizes[key]


def _refused(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)

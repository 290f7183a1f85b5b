"""The form of JSON that scripts read: its keys and the types of its values, without the values."""

import json
from collections.abc import Sequence
from typing import Any

_WORDS = frozenset({"outcome", "status", "when"})
"""Keys whose values are words that scripts compare: the words themselves belong to the form."""
_TYPES = {bool: "bool", int: "int", float: "float", str: "str", type(None): "null"}


def form_of(documents: Sequence[Any]) -> str:
    """The one form that all ``documents`` have, as a text for a golden file.

    A list stands for any number of items of the forms in it. A key with a question mark is not always there.
    """
    return json.dumps(_form(documents, words=False), indent=2) + "\n"


def _form(values: Sequence[Any], *, words: bool) -> Any:
    plain = sorted({_scalar(value, words=words) for value in values if not isinstance(value, dict | list)})
    found: list[Any] = [" | ".join(plain)] if plain else []
    if lists := [value for value in values if isinstance(value, list)]:
        items = [item for value in lists for item in value]
        found.append([_form(items, words=words)] if items else [])
    if objects := [value for value in values if isinstance(value, dict)]:
        found.append(_object(objects))
    return found[0] if len(found) == 1 else {"either": found}


def _object(objects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    form = {}
    for key in sorted({key for value in objects for key in value}):
        having = [value[key] for value in objects if key in value]
        name = key if len(having) == len(objects) else f"{key}?"
        form[name] = _form(having, words=key in _WORDS)
    return form


def _scalar(value: Any, *, words: bool) -> str:
    return value if words and isinstance(value, str) else _TYPES[type(value)]

"""pydantic's errors in the user's words: what is wrong, and what would be right."""

import difflib
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from k8sbootstrap.config.document import Document, Location
from k8sbootstrap.config.models import base
from k8sbootstrap.errors import Problem
from k8sbootstrap.formats.text import without_logins

Words = tuple[str, str]
"""What is wrong, and what would be right."""

_PATTERNS: Mapping[str, Words] = {
    base.DNS_LABEL: (
        "is not a valid name",
        "use lower case letters, digits and hyphens, at most 63, and begin and end with a letter or digit",
    ),
    base.DNS_NAME: (
        "is not a DNS name",
        "use lower case letters, digits and hyphens in parts separated by dots, such as cluster.local",
    ),
    base.VERSION: (
        "is not a release number",
        "write MAJOR.MINOR.PATCH without a leading v, such as 1.36.2",
    ),
    base.IMAGE_VERSION: ("is not an image version", 'write it like "3.10.1"'),
    base.DNS_SERVER: ("is not a DNS server", "write ADDRESS or ADDRESS:PORT, such as 192.0.2.53"),
    base.CHART_VERSION: ("is not a chart's version", "write it like 1.2.3 or 1.2.3-rc.1"),
    base.SHA256: ("is not a sha256", "write 64 hexadecimal digits, as sha256sum prints them"),
    base.HTTP_URL: (
        "is not a URL",
        "write a URL that starts with http:// or https://, without spaces and quotes",
    ),
    base.DIRECT_HOST: (
        "is not a name, address or range",
        "write one per entry, such as .example.com or 10.0.0.0/8",
    ),
    base.REGISTRY_HOST: (
        "is not a registry's host",
        "write HOST or HOST:PORT, without http:// and path, such as registry.example.com:5000",
    ),
    base.DOCKER_SIZE: ("is not a size", "write a number and k, m or g, such as 50m"),
    base.USER_NAME: (
        "is not a user name",
        "use letters, digits, '_', '.', '@' and '-', at most 64, and begin with a letter, a digit or '_'",
    ),
    base.BUCKET: (
        "is not the name of a bucket",
        "use 3 to 63 lower case letters, digits, hyphens and dots, and begin and end with a letter or digit",
    ),
    base.REGION: ("is not a region", "write it like eu-central-1"),
    base.OBJECT_PREFIX: (
        "is not a prefix of objects",
        "use letters, digits, '.', '_' and '-' in parts separated by /, such as backups/etcd",
    ),
    base.FOLDER: ("is not a directory on hosts", "write an absolute path, such as /var/lib/docker"),
}

_SHAPES: Mapping[str, Words] = {
    "model_type": ("must contain keys", "write KEY: VALUE lines below it, indented"),
    "model_attributes_type": ("must contain keys", "write KEY: VALUE lines below it, indented"),
    "dict_type": ("must contain keys", "write KEY: VALUE lines below it, indented"),
    "list_type": ("must be a list", 'write one line "- ENTRY" for each entry'),
    "string_type": ("must be text", "put it in quotes"),
    "invalid_key": ("must be text", "put it in quotes"),
    "finite_number": ("must be a whole number", ""),
    "int_type": ("must be a whole number", ""),
    "int_parsing": ("must be a whole number", ""),
    "int_from_float": ("must be a whole number", ""),
    "bool_type": ("must be true or false", ""),
    "bool_parsing": ("must be true or false", ""),
    "path_type": ("must be the path of a file or directory", ""),
    "ip_v4_address": ("must be an IPv4 address", "write it like 10.0.0.11"),
    "ip_v4_network": ("must be an IPv4 range", "write it like 10.244.0.0/16"),
}


def explain(error: ErrorDetails, document: Document, model: type[BaseModel]) -> Problem:
    """Translate one pydantic error.

    Args:
        error: An entry of ``ValidationError.errors()``.
        document: The file that was validated.
        model: The model of the whole document.
    """
    location = location_of(error)
    if error["type"] == "missing":
        return document.problem(location, "is missing", f'add "{location[-1]}: ..."')
    if error["type"] == "extra_forbidden":
        return document.problem(
            location, *_unknown_key(str(location[-1]), known_keys(model, error["loc"][:-1]))
        )
    if error["input"] is None:
        what = "is empty" if location else "the file is empty"
        return document.problem(location, what, "give it a value or remove the key" if location else "")
    words = _WORDS.get(error["type"], _other)
    return document.problem(location, *words(error))


def location_of(error: ErrorDetails) -> Location:
    """Where in the file an error is: pydantic's location without its marks for union variants and keys."""
    return tuple(step for step in error["loc"] if not _is_mark(step))


def known_keys(model: type[BaseModel], location: Iterable[str | int]) -> list[str]:
    """The keys that may stand at a pydantic location below ``model``, spelled as in the file."""
    annotation: Any = model
    for step in location:
        if isinstance(step, str):
            annotation = _step(annotation, step)
    return [
        field.alias or name for part in _models_in(annotation) for name, field in part.model_fields.items()
    ]


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that ``word`` was probably meant to be; empty when none is close."""
    flat = {_flatten(name): name for name in known}
    close = difflib.get_close_matches(_flatten(word), flat, n=1, cutoff=0.6)
    return flat[close[0]] if close else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A fix: the nearest known word, or all of them when none is near."""
    names = list(known)
    near = nearest(word, names)
    return f"did you mean {near}?" if near else f"use one of: {', '.join(names)}"


def _flatten(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def _is_mark(step: str | int) -> bool:
    return isinstance(step, str) and (step == "[key]" or (step.startswith("(") and step.endswith(")")))


def _step(annotation: Any, step: str) -> Any:
    """The type of the key ``step`` inside a type, or the union's variant that ``step`` marks."""
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    candidates = _models_in(annotation)
    for candidate in candidates:
        for name, field in candidate.model_fields.items():
            if step == base.variant(name):
                return candidate
            if step == (field.alias or name):
                return field.annotation
    return None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The model classes inside an annotation such as ``list[Model] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]


def _unknown_key(key: str, known: list[str]) -> Words:
    return "is not a known key", did_you_mean(key, known)


def _shape(error: ErrorDetails) -> Words:
    what, fix = _SHAPES[error["type"]]
    value = error["input"]
    if error["type"] == "string_type" and isinstance(value, dict | list):
        fix = ""
    elif error["type"] == "string_type":
        fix = f'put it in quotes: "{_plain(value)}"'
    elif error["type"] == "ip_v4_network":
        fix = _range_fix(value) or fix
    return f"{what}, not {_show(value)}", fix


def _range_fix(value: Any) -> str:
    """A range whose address has host bits set, written right; empty for anything else."""
    try:
        return f"write {ipaddress.IPv4Network(value, strict=False)}"
    except ValueError:
        return ""


def _literal(error: ErrorDetails) -> Words:
    expected = str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
    if len(expected) == 1:
        return f"must be {expected[0]}, not {_show(error['input'])}", ""
    return (
        f"must be one of {', '.join(expected)}, not {_show(error['input'])}",
        f"did you mean {near}?" if (near := nearest(str(error["input"]), expected)) else "",
    )


def _pattern(error: ErrorDetails) -> Words:
    what, fix = _PATTERNS[error["ctx"]["pattern"]]
    secret = "@" in str(error["input"])  # it may be a URL with a password that is none
    return f"{'the value' if secret else _show(error['input'])} {what}", fix


def _length(error: ErrorDetails) -> Words:
    return "is too long", f"use at most {error['ctx']['max_length']} characters"


def _one_of(error: ErrorDetails) -> Words:
    return f"must have exactly one of the keys {error['msg']}", ""


def _bound(error: ErrorDetails) -> Words:
    context = error["ctx"]
    if "le" in context:
        return f"{error['input']} is too large", f"use {context['le']} or less"
    return f"{error['input']} is too small", f"use {context['ge']} or more"


def _too_short(error: ErrorDetails) -> Words:  # noqa: ARG001
    return "must have at least one entry", ""


def _other(error: ErrorDetails) -> Words:
    return f"{_show(error['input'])} is not accepted: {error['msg']}", ""


_WORDS: Mapping[str, Callable[[ErrorDetails], Words]] = {
    **dict.fromkeys(_SHAPES, _shape),
    "literal_error": _literal,
    "string_pattern_mismatch": _pattern,
    "string_too_long": _length,
    "one_of": _one_of,
    "greater_than_equal": _bound,
    "less_than_equal": _bound,
    "too_short": _too_short,
}


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _show(value: Any) -> str:
    """A value as a message may show it: short, and never what may be a mapping with secrets."""
    if isinstance(value, dict):
        return "keys"
    if isinstance(value, list):
        return "a list"
    text = without_logins(_plain(value))
    return f'"{text}"' if isinstance(value, str) else text

"""The reference of cluster.yaml: ``python -m tools.configuration_page > docs/configuration.md``."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from k8sbootstrap.config.later import of_key
from k8sbootstrap.config.schema import json_schema

_HEAD = """\
# cluster.yaml

Generated from the configuration models with `python -m tools.configuration_page`; do not edit it by hand.
`k8sbootstrap init` writes a file to start from, `k8sbootstrap validate` checks one, `k8sbootstrap schema`
prints the same reference as a JSON Schema for editors. Unknown keys are errors. Relative paths start at the
folder of the file. Text arrives on hosts as it is written: Ansible expands nothing in it, braces included.
"""

_LATER = """\
## What can be changed later

On a running cluster `up` and `plan` refuse a change of what says "no" here, before any host is touched: exit
code 4. So do the playbooks on each host. "restarts": `up` restarts something, and `plan` says which services.
"""


def configuration_reference() -> str:
    """The whole page: one section per kind of object, in the order in which a reader meets them."""
    schema = json_schema()
    objects = schema["$defs"]
    sections = [_section("Cluster", schema, objects)]
    names = _reachable(schema)
    sections += [_section(name, objects[name], objects) for name in names]
    described = {"Cluster": schema, **{name: objects[name] for name in names}}
    return "\n".join([_HEAD, *sections, _later(described)])


def _later(described: dict[str, Any]) -> str:
    """The section about a cluster that is there already: keys with the same words are one line."""
    rows = []
    for name, schema in described.items():
        alike: dict[tuple[str, str], list[str]] = {}
        for key in schema["properties"]:
            alike.setdefault(of_key(name, key), []).append(f"`{key}`")
        rows += [
            f"| [{name}](#{name.lower()}) | {', '.join(keys)} | {may} | {_cell(why)} |"
            for (may, why), keys in alike.items()
        ]
    table = ["| object | key | can be changed | what happens then, or would |", "|---|---|---|---|", *rows]
    return "\n".join([_LATER, *table, ""])


def _reachable(schema: dict[str, Any]) -> list[str]:
    """Names of all objects below the top, each once, outer before inner."""
    found: dict[str, None] = {}
    todo = list(_references(schema["properties"]))
    while todo:
        name = todo.pop(0)
        if name not in found:
            found[name] = None
            todo += _references(schema["$defs"][name])
    return list(found)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield _name(schema["$ref"])
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)


def _section(name: str, schema: dict[str, Any], objects: dict[str, Any]) -> str:
    rows = []
    for key, field in schema["properties"].items():
        # Where a field's description repeats that of its object, the schema has it there only.
        text = field.get("description") or objects[_name(field["$ref"])]["description"]
        default = "required" if key in schema.get("required", ()) else _default(field)
        rows.append(f"| `{key}` | {_type(field)} | {default} | {_cell(text)} |")
    table = ["| key | type | default | description |", "|---|---|---|---|", *rows]
    return "\n".join([f"## {name}", "", schema["description"], "", *table, ""])


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


def _default(field: dict[str, Any]) -> str:
    default = field.get("default")
    if default is None:
        return ""
    return f"`{default}`" if isinstance(default, str) and default else f"`{json.dumps(default)}`"


def _type(field: dict[str, Any]) -> str:
    """A field's type in words."""
    kind = next((key for key in _TYPES if key in field), "")
    return _TYPES[kind](field) if kind else "any value"


def _reference(field: dict[str, Any]) -> str:
    name = _name(field["$ref"])
    return f"[{name}](#{name.lower()})"


def _alternatives(parts: list[dict[str, Any]]) -> str:
    return " or ".join(_type(part) for part in parts if part.get("type") != "null")


def _plain(field: dict[str, Any]) -> str:
    match field["type"]:
        case "array":
            return f"list of {_type(field['items'])}"
        case "object":
            keys = _type(field.get("propertyNames", {"type": "string"}))
            return f"map of {keys} to {_type(_values(field))}"
        case "integer":
            return f"number from {field['minimum']} to {field['maximum']}"
        case "boolean":
            return "true or false"
        case _:
            return _FORMATS.get(field.get("format", ""), "text")


def _values(field: dict[str, Any]) -> dict[str, Any]:
    """The schema of a map's values; it stands below a pattern where keys have one, true is for anything."""
    values = next(iter(field.get("patternProperties", {}).values()), field.get("additionalProperties"))
    return values if isinstance(values, dict) else {}


_FORMATS = {"ipv4": "IPv4 address", "ipv4network": "IPv4 range", "path": "path"}
_TYPES: dict[str, Callable[[dict[str, Any]], str]] = {
    "$ref": _reference,
    "anyOf": lambda field: _alternatives(field["anyOf"]),
    "oneOf": lambda field: _alternatives(field["oneOf"]),
    "const": lambda field: f"`{field['const']}`",
    "enum": lambda field: " or ".join(f"`{value}`" for value in field["enum"]),
    "type": _plain,
}
"""How to word a schema, by the keyword that decides it; the first that is there counts."""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(configuration_reference())

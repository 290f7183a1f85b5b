"""YAML for Ansible, in which text is text: Ansible expands none but a ``Template``."""

from typing import Any

import yaml

from k8sbootstrap.formats.bounded import SafeLoader

_TEXT = "tag:yaml.org,2002:str"
_UNSAFE = "!unsafe"
"""Ansible's tag for text that is never a template."""
_TEMPLATE_MARKS = ("{{", "{%", "{#")
"""What begins a template in Ansible's eyes."""


class Template(str):
    """Text that Ansible is to expand."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """A dumper of its own: no other writer of YAML uses Ansible's tag."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    if any(mark in value for mark in _TEMPLATE_MARKS):
        return dumper.represent_scalar(_UNSAFE, value, style='"')
    # double quotes keep line breaks on one line
    return dumper.represent_scalar(_TEXT, value, style='"' if "\n" in value else None)


def _template(dumper: yaml.SafeDumper, value: Template) -> yaml.ScalarNode:
    return dumper.represent_scalar(_TEXT, value, style='"')


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Template, _template)
_Loader = type("_Loader", (SafeLoader,), {})
yaml.add_constructor(_UNSAFE, lambda loader, node: loader.construct_scalar(node), Loader=_Loader)


def dump_line(value: Any) -> str:
    """A value on one line of YAML."""
    return (
        yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10**9, sort_keys=False)
        .removesuffix("\n...\n")
        .rstrip("\n")
    )


def dump(value: Any) -> str:
    """A whole document."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False)


def load(text: str) -> Any:
    """Read back what ``dump`` or a template with ``dump_line`` wrote."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe one

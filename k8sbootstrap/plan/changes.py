"""The changes that modules on hosts report, as data.

Modules have the same words in ``playbooks/module_utils/k8sbootstrap/changes.py``; a test compares them.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "boolean",
    "directory",
    "file",
    "firewall",
    "image",
    "module",
    "node",
    "object",
    "package",
    "route",
    "rule",
    "sysctl",
    "unit",
    "user",
]
"""What a change is about."""
Action = Literal[
    "add",
    "apply",
    "change",
    "close",
    "drain",
    "enable",
    "install",
    "load",
    "mode",
    "open",
    "reload",
    "remove",
    "restart",
    "set",
    "start",
    "stop",
    "uncordon",
]
"""What happens to it."""
Cause = Literal["new", "configuration", "drift", "cluster", "renewal"]
"""Never applied there, other inputs than last time, somebody changed the host, nodes came or went, a
certificate ends soon or was asked for."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that a module changed, or would change in check mode."""

    text: str
    """All of it in words."""
    kind: Kind | Literal[""] = ""
    """Empty where there is nothing but the text."""
    action: Action | Literal[""] = ""
    """Empty where the kind is."""
    name: str = ""
    """Path or name."""
    causes: tuple[Cause, ...] = ()
    """Empty where another change implies it."""
    why: tuple[str, ...] = ()
    """For restarts and reloads: the inputs that changed."""

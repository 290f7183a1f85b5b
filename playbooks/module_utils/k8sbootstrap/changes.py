"""One form for everything that modules change on hosts and that the probe finds changed there.

``k8sbootstrap/plan/changes.py`` has the same words for the controller; a test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypedDict

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
NEW: Final = "new"
"""Never applied here."""
CONFIGURATION: Final = "configuration"
"""Other inputs than last time."""
DRIFT: Final = "drift"
"""Somebody changed the host."""
CLUSTER: Final = "cluster"
"""Nodes came or went."""
RENEWAL: Final = "renewal"
"""A certificate ends soon, or a new one was asked for."""

_WORDS: dict[tuple[Kind, Action], str] = {
    ("boolean", "set"): "SELinux boolean {} set",
    ("directory", "add"): "directory {} made",
    ("directory", "mode"): "directory {} mode or owner set",
    ("file", "add"): "{} added",
    ("file", "change"): "{} changed",
    ("file", "mode"): "{} mode or owner set",
    ("file", "remove"): "{} removed",
    ("firewall", "close"): "{} closed",
    ("firewall", "open"): "{} opened",
    ("image", "load"): "image {} loaded",
    ("module", "load"): "kernel module {} loaded",
    ("node", "drain"): "node {} drained",
    ("node", "uncordon"): "node {} takes pods again",
    ("node", "set"): "node {} labels or taints set",
    ("object", "apply"): "{} applied",
    ("object", "remove"): "{} removed",
    ("package", "install"): "package {} installed",
    ("route", "add"): "route to {} set",
    ("rule", "add"): "packet rule {} set",
    ("sysctl", "set"): "sysctl {} set",
    ("unit", "enable"): "{} enabled",
    ("unit", "reload"): "{} reloaded",
    ("unit", "restart"): "{} restarted",
    ("unit", "start"): "{} started",
    ("unit", "stop"): "{} stopped and disabled",
    ("user", "add"): "user {} added",
}


class Change(TypedDict):
    """One change, as modules and the probe report it."""

    kind: Kind
    action: Action
    name: str
    """Path or name."""
    causes: list[Cause]
    """Empty when the change follows from others."""
    why: list[str]
    """For restarts and reloads, the inputs that changed."""
    text: str
    """All of it in words."""


def change(kind: Kind, action: Action, name: str, *causes: Cause, why: Sequence[str] = ()) -> Change:
    """One change.

    Args:
        kind: What it is about.
        action: What happens to it.
        name: Path or name.
        causes: Why; empty when it follows from others.
        why: For restarts and reloads, the inputs that changed.

    Raises:
        KeyError: No such thing happens to that kind.
    """
    return {
        "kind": kind,
        "action": action,
        "name": name,
        "causes": list(causes),
        "why": list(why),
        "text": _WORDS[kind, action].format(name),
    }

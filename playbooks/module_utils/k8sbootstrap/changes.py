"""One form for everything that modules change on hosts and that the probe finds changed there."""

from __future__ import annotations

NEW = "new"
CONFIGURATION = "configuration"
DRIFT = "drift"
CLUSTER = "cluster"
"""Causes: never applied here; other inputs than last time; somebody changed the host; nodes came or went."""

_WORDS = {
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
    ("sysctl", "set"): "sysctl {} set",
    ("unit", "enable"): "{} enabled",
    ("unit", "reload"): "{} reloaded",
    ("unit", "restart"): "{} restarted",
    ("unit", "start"): "{} started",
    ("unit", "stop"): "{} stopped and disabled",
    ("user", "add"): "user {} added",
}


def change(kind: str, action: str, name: str, *causes: str, why: tuple = ()) -> dict:
    """One change.

    Args:
        kind: What it is about: file, unit, package, ... (see ``_WORDS``).
        action: What happens to it.
        name: Path or name.
        causes: Any of ``NEW``, ``CONFIGURATION``, ``DRIFT``, ``CLUSTER``; empty when it follows from others.
        why: For restarts and reloads, the inputs that changed.

    Returns:
        A dictionary of JSON values; ``text`` says it in words.
    """
    return {
        "kind": kind,
        "action": action,
        "name": name,
        "causes": list(causes),
        "why": list(why),
        "text": _WORDS[kind, action].format(name),
    }

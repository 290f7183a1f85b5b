"""What modules on hosts report to have changed, as data."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that a module changed, or would change in check mode."""

    text: str
    """All of it in words."""
    kind: str = ""
    """What it is about: directory, file, image, module, node, object, package, sysctl, unit, user."""
    action: str = ""
    """add, apply, change, drain, enable, install, load, mode, remove, restart, set, start, uncordon."""
    name: str = ""
    """Path or name."""
    causes: tuple[str, ...] = ()
    """new (never applied there), configuration (other inputs than last time), drift (somebody changed the
    host); empty where it follows from another change."""
    why: tuple[str, ...] = ()
    """For restarts: the inputs that changed."""

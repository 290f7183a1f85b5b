"""Carries playbooks/, roles/ and inventory/ into the wheel.

They live at the top of the repository so that plain ``ansible-playbook`` finds them; an installed package
finds them under ``k8sbootstrap/_data`` (see ``k8sbootstrap.resources``). Editable installs use the
repository's own folders, so nothing is forced into those.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the data folders to standard wheels."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before the wheel is written; ``version`` is "standard" or "editable"."""
        if version == "editable":
            return
        for folder in ("playbooks", "roles", "inventory"):
            build_data["force_include"][str(Path(self.root) / folder)] = f"k8sbootstrap/_data/{folder}"

"""The inventory as a value: all variables that Ansible gets, by host and role."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Variables = Mapping[str, Any]
"""Name to value: text, numbers, booleans, None, and lists and dictionaries of these."""
Sections = Mapping[str, Variables]
"""Role to its variables, in the order in which files have them. Two sections are no roles: ``ansible`` (what
Ansible itself reads) and ``k8sbootstrap`` (what belongs to no role)."""


@dataclass(frozen=True)
class Inventory:
    """What ``write_inventory`` writes. It names files with secrets, and holds none."""

    groups: Mapping[str, Collection[str]]
    """Group to names of its hosts."""
    shared: Sections
    """What all hosts have."""
    hosts: Mapping[str, Sections]
    """Host to what it has beside that, or instead of it."""
    digests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Host to role to digest, for the roles that run there; see ``k8sbootstrap.inventory.digests``."""

    def of_role(self, host: str, role: str) -> dict[str, Any]:
        """The variables that a role has on a host."""
        return {**self.shared.get(role, {}), **self.hosts[host].get(role, {})}

    def files_to_send(self, host: str, roles: Collection[str]) -> dict[str, Path]:
        """The files that roles install on a host and that it can't fetch itself.

        Args:
            host: Name of the host.
            roles: The roles, in the order in which they run.

        Returns:
            sha256 to path on this machine, in the order in which they are needed.
        """
        files: dict[str, Path] = {}
        for role in roles:
            variables = self.of_role(host, role)
            found = [*variables.get(f"{role}_binaries", {}).values()]
            found += [image["artifact"] for image in variables.get(f"{role}_images", [])]
            files.update((each["sha256"], Path(each["path"])) for each in found if not each["url"])
        return files

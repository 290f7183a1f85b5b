"""Reading a rendered inventory back."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from k8sbootstrap.formats import ansible_yaml


def loaded(text: str) -> dict[str, Any]:
    """The variables in one file of an inventory."""
    variables: dict[str, Any] = ansible_yaml.load(text)
    return variables


def read_digests(inventory: Path, host: str) -> dict[str, str]:
    """Role to digest, of the roles that run on a host, as ``render_inventory`` wrote them."""
    variables = loaded((inventory / "host_vars" / f"{host}.yml").read_text())
    return {
        name.removesuffix("_digest"): str(value)
        for name, value in variables.items()
        if name.endswith("_digest")
    }


def read_version(inventory: Path) -> str:
    """The Kubernetes release that an inventory is for; empty where there is none, or it does not say."""
    file = inventory / "group_vars" / "all.yml"
    return str(loaded(file.read_text()).get("node_drain_version", "")) if file.exists() else ""


def files_to_send(inventory: Path, host: str, roles: Collection[str]) -> dict[str, Path]:
    """The files that roles install on a host and that it can't fetch itself, from a rendered inventory.

    Args:
        inventory: What ``render_inventory`` wrote.
        host: Name of the host.
        roles: The roles, in the order in which they run.

    Returns:
        sha256 to path on this machine, in the order in which they are needed.
    """
    shared = loaded((inventory / "group_vars" / "all.yml").read_text())
    variables = shared | loaded((inventory / "host_vars" / f"{host}.yml").read_text())
    files: dict[str, Path] = {}
    for role in roles:
        found = [*variables.get(f"{role}_binaries", {}).values()]
        found += [image["artifact"] for image in variables.get(f"{role}_images", [])]
        files.update((each["sha256"], Path(each["path"])) for each in found if not each["url"])
    return files

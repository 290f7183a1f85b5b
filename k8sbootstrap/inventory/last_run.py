"""What the inventory of an earlier run tells: the only thing that is ever read from one."""

from pathlib import Path

from k8sbootstrap.formats import ansible_yaml


def release_of(inventory: Path) -> str:
    """The Kubernetes release that an inventory directory is for, such as 1.36.4; empty where it does not say.

    Args:
        inventory: What ``write_inventory`` wrote; need not be there.
    """
    file = inventory / "group_vars" / "all.yml"
    if not file.exists():
        return ""
    return str(ansible_yaml.load(file.read_text(encoding="utf-8")).get("node_drain_version", ""))

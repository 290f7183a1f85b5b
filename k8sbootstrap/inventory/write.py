"""Writes inventories: ``hosts.yml``, ``group_vars/`` and ``host_vars/``, by ``inventory/templates``."""

from pathlib import Path

import jinja2

from k8sbootstrap.formats.ansible_yaml import dump_line
from k8sbootstrap.inventory.model import Inventory, Sections
from k8sbootstrap.private_files import PRIVATE, write
from k8sbootstrap.resources import data_dir


def write_inventory(inventory: Inventory, directory: Path) -> list[Path]:
    """Write an inventory, as a directory that ``ansible-playbook -i`` takes.

    Args:
        inventory: What to write.
        directory: Where to; made with mode 0700. Files of hosts that are gone are removed.

    Returns:
        The files of the inventory. A file whose content is right already is left alone.

    Raises:
        StateError: A file cannot be written.
    """
    templates = _templates()
    files = {
        "hosts.yml": templates.get_template("hosts.yml.j2").render(groups=inventory.groups),
        "group_vars/all.yml": templates.get_template("all.yml.j2").render(sections=inventory.shared),
    }
    for host in inventory.hosts:
        files[f"host_vars/{host}.yml"] = templates.get_template("host.yml.j2").render(
            sections=_with_digests(inventory, host)
        )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for stale in sorted((directory / "host_vars").glob("*.yml")):
        if f"host_vars/{stale.name}" not in files:
            stale.unlink()
    for name, text in files.items():
        write(directory / name, text.encode(), PRIVATE, root=directory)
    return [directory / name for name in files]


def _with_digests(inventory: Inventory, host: str) -> Sections:
    digests = inventory.digests.get(host)
    sections = inventory.hosts[host]
    if not digests:
        return sections
    return {**sections, "digests": {f"{role}_digest": digest for role, digest in digests.items()}}


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_dir() / "inventory" / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, not HTML
    )
    environment.filters["yaml"] = dump_line
    return environment

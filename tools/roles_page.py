"""The reference of the roles' variables: ``python -m tools.roles_page > docs/roles.md``."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from k8sbootstrap.catalog.distributions import supported
from k8sbootstrap.plan.phases import NODE_ROLES, PHASES, UPGRADE
from k8sbootstrap.resources import data_dir

_HEAD = """\
# Roles

Generated from the roles' argument specs with `python -m tools.roles_page`; do not edit it by
hand. Roles are in the order in which `playbooks/site.yml` runs them; those of upgrades come last. Ansible
checks the variables against the same specs before a role starts. How to use the roles without the command
line: [The playbooks alone](playbooks.md).

"""


def roles_reference() -> str:
    """The whole page: one section per role, in the order of the phases."""
    hosts = f"[Hosts](distributions.md) run one of these: {supported()}. This holds for all roles."
    return (
        _HEAD
        + textwrap.fill(hosts, 110)
        + "\n"
        + "".join(_section(playbook, role) for playbook, role in roles_in_order(data_dir()))
    )


def roles_in_order(top: Path) -> list[tuple[str, str]]:
    """Every role with the playbook that runs it.

    Args:
        top: The folder that holds ``playbooks/`` and ``roles/``.
    """
    return [
        (phase.playbook, role["role"])
        for phase in PHASES
        for play in yaml.safe_load((top / "playbooks" / phase.playbook).read_text(encoding="utf-8"))
        for role in play["roles"]
        if role["role"] in phase.roles
    ] + [(UPGRADE.playbook, role) for role in UPGRADE.roles if role not in NODE_ROLES]


def _section(playbook: str, role: str) -> str:
    path = data_dir() / "roles" / role / "meta" / "argument_specs.yml"
    specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]
    lines = ["", f"## {role}", "", f"{specs['short_description']}. Run by `playbooks/{playbook}`.", ""]
    if specs["options"]:
        lines += ["| variable | type | default | description |", "|---|---|---|---|"]
        lines += [_row(name, option) for name, option in specs["options"].items()]
    else:
        lines += ["It takes no variables."]
    return "\n".join([*lines, ""])


def _row(name: str, option: dict[str, Any]) -> str:
    default = "required" if option.get("required") else _default(option["default"])
    return f"| `{name}` | {option['type']} | {default} | {option['description']} |".replace("\n", " ")


def _default(value: Any) -> str:
    if isinstance(value, list | dict) and value:
        return "<br>".join(f"`{item}`" for item in _items(value))
    if isinstance(value, bool):
        return f"`{value}`".lower()
    return "empty" if value in ("", [], {}) else f"`{value}`"


def _items(value: list[Any] | dict[str, Any]) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{key}: {item}" for key, item in value.items())
    else:
        yield from map(str, value)


if __name__ == "__main__":
    sys.stdout.write(roles_reference())

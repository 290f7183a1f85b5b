"""A playbook of only what is to do: the phases' own plays, cut down to the hosts and roles that need them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from k8sbootstrap.drift.survey import Survey
from k8sbootstrap.resources import data_dir
from k8sbootstrap.runner.phases import PHASES

PLUGINS = {
    "ANSIBLE_ACTION_PLUGINS": "action_plugins",
    "ANSIBLE_CALLBACK_PLUGINS": "callback_plugins",
    "ANSIBLE_FILTER_PLUGINS": "filter_plugins",
    "ANSIBLE_LIBRARY": "library",
    "ANSIBLE_MODULE_UTILS": "module_utils",
}
"""What Ansible finds beside a playbook, and has to be told where the playbook is elsewhere."""


def plugin_settings() -> dict[str, str]:
    """Where the project's modules and plugins are, as the environment variables Ansible reads it from."""
    return {name: str(data_dir() / "playbooks" / folder) for name, folder in PLUGINS.items()}


def write_playbook(survey: Survey, folder: Path) -> Path:
    """Write ``site.yml`` and one playbook per phase that has something to do.

    Args:
        survey: What is to do.
        folder: Gets the files; made when it is not there.

    Returns:
        The path of ``site.yml``.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    imports = []
    for phase in PHASES:
        source = yaml.safe_load((data_dir() / "playbooks" / phase.playbook).read_text())
        plays = [part for play in source for part in _cut(play, survey)]
        if plays:
            (folder / phase.playbook).write_text(yaml.safe_dump(plays, sort_keys=False))
            imports.append({"ansible.builtin.import_playbook": phase.playbook})
    (folder / "site.yml").write_text(yaml.safe_dump(imports, sort_keys=False))
    return folder / "site.yml"


def _cut(play: dict[str, Any], survey: Survey) -> Sequence[dict[str, Any]]:
    """``play`` as plays of roles next to each other that have the same hosts."""
    plays: list[dict[str, Any]] = []
    for role in play["roles"]:
        hosts = ",".join(survey.hosts(role["role"]))
        if not hosts:
            continue
        if plays and plays[-1]["hosts"] == hosts:
            plays[-1]["roles"].append(role)
        else:
            down = {"k8sbootstrap_down": sorted(survey.unreachable)}
            plays.append({**play, "hosts": hosts, "vars": down, "roles": [role]})
    return plays

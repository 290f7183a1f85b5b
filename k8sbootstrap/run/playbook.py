"""Writes a playbook of what is to do: the plays of the phases, limited to hosts and roles that need them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from k8sbootstrap.formats.ansible_yaml import dump
from k8sbootstrap.formats.bounded import load_own_yaml
from k8sbootstrap.plan.phases import NODE_ROLES, PHASES, UNCORDON, UPGRADE, Phase
from k8sbootstrap.resources import data_dir
from k8sbootstrap.survey.todo import Survey
from k8sbootstrap.survey.upgrade.models import PendingUpgrade

PLUGINS = {
    "ANSIBLE_ACTION_PLUGINS": "action_plugins",
    "ANSIBLE_CALLBACK_PLUGINS": "callback_plugins",
    "ANSIBLE_FILTER_PLUGINS": "filter_plugins",
    "ANSIBLE_LIBRARY": "library",
    "ANSIBLE_MODULE_UTILS": "module_utils",
}
"""What Ansible finds beside a playbook, and has to be told where the playbook is elsewhere."""

ASKS_MASTERS = ("kubelet", "node_drain", "node_uncordon", "pod_network")
"""Roles that ask any master that answers; their variable ``ROLE_unreachable`` names those that don't."""


def plugin_settings() -> dict[str, str]:
    """Where the project's modules and plugins are, as the environment variables Ansible reads it from."""
    return {name: str(data_dir() / "playbooks" / folder) for name, folder in PLUGINS.items()}


def write_playbook(survey: Survey, folder: Path, incoming: str = "") -> Path:
    """Write ``site.yml`` and one playbook per phase that has something to do.

    Args:
        survey: What is to do.
        folder: Gets the files; made when it is not there.
        incoming: Folder on hosts where programs arrive that were sent ahead, if any are.

    Returns:
        The path of ``site.yml``.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    imports = []
    for phase in _phases(survey):
        source = load_own_yaml((data_dir() / "playbooks" / phase.playbook).read_text())
        if phase is UPGRADE and survey.upgrade:
            plays = list(_upgrade(source, survey, survey.upgrade))
        else:
            plays = [part for play in source for part in _cut(play, survey)]
        if phase.name == "etcd" and survey.etcd_asked:
            plays = [_asking(play, survey.etcd_asked) for play in plays]
        if phase.name == "etcd" and survey.etcd_restoring:
            plays = [_restoring(play, survey.etcd_restoring) for play in plays]
        for play in plays:
            _tell_of_run(play, survey, incoming)
            play["tasks"] = [_import(role) for role in play.pop("roles")]
        if plays:
            (folder / phase.playbook).write_text(dump(plays))
            imports.append({"ansible.builtin.import_playbook": phase.playbook})
    (folder / "site.yml").write_text(dump(imports))
    return folder / "site.yml"


def _tell_of_run(play: dict[str, Any], survey: Survey, incoming: str) -> None:
    """Add to ``play`` the variables that hold for one run only and so are in no inventory."""
    names = [role["role"] for role in play["roles"] if role["role"] in ASKS_MASTERS]
    unreachable = {
        f"{name}_unreachable": sorted({*survey.unreachable, *survey.without_api}) for name in names
    }
    play["vars"] = {**unreachable, **play.get("vars", {})}
    defaults = {"incoming": incoming, "renew": sorted(survey.renew)}
    if any(defaults.values()):
        play["module_defaults"] = {"component": {key: value for key, value in defaults.items() if value}}


def _phases(survey: Survey) -> Iterator[Phase]:
    for phase in PHASES:
        yield phase
        if phase.name == survey.last_phase:
            return
        if phase.name == "image_registry" and survey.upgrade:
            yield UPGRADE
        if phase.name == "kube_proxy":
            yield UNCORDON


def _upgrade(
    source: Sequence[dict[str, Any]], survey: Survey, upgrade: PendingUpgrade
) -> Iterator[dict[str, Any]]:
    """The plays of nodes that are upgraded: those of masters, then those of workers."""
    for play, nodes, serial in zip(
        source, (upgrade.masters, upgrade.workers), (1, upgrade.max_unavailable), strict=True
    ):
        if nodes:
            roles = [
                role
                for role in play["roles"]
                if role["role"] not in NODE_ROLES or set(survey.hosts(role["role"])) & set(nodes)
            ]
            own = {"node_drain_bare_pods": upgrade.bare_pods}
            yield {**play, "hosts": ",".join(nodes), "serial": serial, "vars": own, "roles": roles}


def _cut(play: dict[str, Any], survey: Survey) -> Sequence[dict[str, Any]]:
    """``play`` as plays of roles next to each other that run on the same hosts in the same way.

    Nodes that are upgraded do the roles of nodes in that phase alone.
    """
    plays: list[dict[str, Any]] = []
    elsewhere = survey.upgrade.nodes if survey.upgrade else ()
    for role in play["roles"]:
        name = role["role"]
        hosts = ",".join(
            host for host in survey.hosts(name) if not (name in NODE_ROLES and host in elsewhere)
        )
        if not hosts:
            continue
        order = {"serial": 1, "any_errors_fatal": True} if name in survey.one_by_one else {}
        if plays and plays[-1]["hosts"] == hosts and ("serial" in plays[-1]) == bool(order):
            plays[-1]["roles"].append(role)
        else:
            plays.append({**play, **order, "hosts": hosts, "roles": [role]})
    return plays


def _asking(play: dict[str, Any], asked: Sequence[str]) -> dict[str, Any]:
    """``play`` on all hosts whose word counts before etcd is begun; those that it had not are only asked."""
    hosts = play["hosts"].split(",")
    only_asked = [host for host in asked if host not in hosts]
    return {**play, "hosts": ",".join([*hosts, *only_asked]), "vars": {"etcd_only_asked": only_asked}}


def _restoring(play: dict[str, Any], identity: str) -> dict[str, Any]:
    """``play`` as one that installs etcd and leaves it to a restore to start it."""
    return {**play, "vars": {**play.get("vars", {}), "etcd_restoring": identity}}


def _import(role: dict[str, Any]) -> dict[str, Any]:
    """A role as a task, without the check of its arguments, which costs time: they are rendered here."""
    rest = {key: value for key, value in role.items() if key != "role"}
    return {"ansible.builtin.import_role": {"name": role["role"], "rolespec_validate": False}, **rest}

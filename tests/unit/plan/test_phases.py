from typing import get_args

import yaml

from k8sbootstrap.config.models.base import HookPoint
from k8sbootstrap.plan.phases import NODE_ROLES, PHASES, UNCORDON, UPGRADE, title
from k8sbootstrap.resources import data_dir


def test_site_imports_the_phases_in_order() -> None:
    site = yaml.safe_load((data_dir() / "playbooks" / "site.yml").read_text())
    assert [play["ansible.builtin.import_playbook"] for play in site] == [phase.playbook for phase in PHASES]


def test_every_phase_has_its_playbook() -> None:
    for phase in PHASES:
        assert (data_dir() / "playbooks" / phase.playbook).is_file()


def test_every_phase_names_the_roles_of_its_playbook() -> None:
    for phase in PHASES:
        plays = yaml.safe_load((data_dir() / "playbooks" / phase.playbook).read_text())
        roles = [role for play in plays for role in play["roles"]]
        begun = [role["role"] for role in roles if "vars" in role]
        assert begun == (["packages"] if phase.name == "host" else [])
        assert tuple(role["role"] for role in roles if "vars" not in role) == phase.roles


def test_hooks_can_name_every_phase() -> None:
    names = [phase.name for phase in PHASES]
    names.insert(names.index("image_registry") + 1, UPGRADE.name)
    assert get_args(HookPoint) == (
        *names,
        "up",
        "remove",
        "certs_renew",
        "certs_rotate_ca",
        "reboot",
        "stop",
        "start",
        "reset",
    )


def test_the_upgrade_of_nodes_has_its_playbook() -> None:
    plays = yaml.safe_load((data_dir() / "playbooks" / UPGRADE.playbook).read_text())
    for play in plays:
        assert tuple(role["role"] for role in play["roles"]) == UPGRADE.roles
        assert play["any_errors_fatal"], "no other node goes out of service after a failure"
        assert play["serial"] == 1
    assert set(NODE_ROLES) < set(UPGRADE.roles)


def test_giving_nodes_back_has_its_playbook() -> None:
    (play,) = yaml.safe_load((data_dir() / "playbooks" / UNCORDON.playbook).read_text())
    assert tuple(role["role"] for role in play["roles"]) == UNCORDON.roles


def test_title_of_other_playbooks() -> None:
    assert title("kubelet") == "Join nodes"
    assert title("upgrade") == "Upgrade nodes"
    assert title("reset") == "reset"

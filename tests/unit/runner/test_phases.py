from typing import get_args

import yaml

from k8sbootstrap.config.models import HookPoint
from k8sbootstrap.resources import data_dir
from k8sbootstrap.runner.phases import PHASES, title


def test_site_imports_the_phases_in_order() -> None:
    site = yaml.safe_load((data_dir() / "playbooks" / "site.yml").read_text())
    assert [play["ansible.builtin.import_playbook"] for play in site] == [phase.playbook for phase in PHASES]


def test_every_phase_has_its_playbook() -> None:
    for phase in PHASES:
        assert (data_dir() / "playbooks" / phase.playbook).is_file()


def test_every_phase_names_the_roles_of_its_playbook() -> None:
    for phase in PHASES:
        plays = yaml.safe_load((data_dir() / "playbooks" / phase.playbook).read_text())
        assert tuple(role["role"] for play in plays for role in play["roles"]) == phase.roles


def test_hooks_can_name_every_phase() -> None:
    assert get_args(HookPoint) == (*(phase.name for phase in PHASES), "up", "reset")


def test_title_of_other_playbooks() -> None:
    assert title("kubelet") == "Join nodes"
    assert title("reset") == "reset"

"""What the filter of hosts' answers keeps of what modules really return."""

from collections.abc import Mapping
from typing import Any

import pytest
from playbook_code import load

own_module = load("action_plugins", "own_module")


def test_a_diff_keeps_the_name_of_its_file() -> None:
    """``plan`` finds the diff of a change by that name."""
    sent = [{"name": "/etc/a.conf", "prepared": "--- /etc/a.conf\n+++ /etc/a.conf\n-1\n+2\n"}]
    assert own_module.ANSWERS["component"]["diff"](sent) == sent


def test_what_modules_never_return_is_dropped() -> None:
    lie = [{"name": "/etc/a.conf", "prepared": "", "ansible_facts": {"a": 1}}]
    assert own_module.ANSWERS["component"]["diff"](lie) == [{"name": "/etc/a.conf", "prepared": ""}]


def test_a_failure_has_no_words_but_its_checked_message() -> None:
    """Ansible makes an ``exception`` of each failed answer: as long and nested as the host likes."""
    exception = {"event": {"msg": "x" * (own_module.TEXT * 2)}}
    assert kept({"failed": True, "msg": "no disk", "exception": exception}) == {
        "failed": True,
        "msg": "no disk",
    }


def kept(said: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept where the module ``component`` answers ``said``."""

    class Asked(own_module.ActionModule):
        def __init__(self) -> None:
            self._discovered_interpreter_key = None
            self._discovered_interpreter = None

        def _execute_module(self, **_: object) -> Mapping[str, Any]:
            return said

        def refuse_facts(self, _task_vars: object) -> None:
            """Not what is tested here."""

    answer: dict[str, Any] = Asked().answer("component", {}, {})
    return answer


CHANGE = {
    "kind": "file",
    "action": "add",
    "name": "/etc/x",
    "causes": ["new"],
    "why": [],
    "text": "/etc/x added",
}


def test_changes_are_kept_as_modules_report_them() -> None:
    assert own_module.COMMON["changes"]([CHANGE, "etcd.service stopped"]) == [CHANGE, "etcd.service stopped"]


@pytest.mark.parametrize("lie", [{"kind": "planet"}, {"action": []}, {"causes": ["bad luck"]}, {"kind": ""}])
def test_a_change_in_words_that_no_module_uses_is_refused(lie: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        own_module.COMMON["changes"]([CHANGE | lie])

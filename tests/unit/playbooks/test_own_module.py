"""What the filter of hosts' answers keeps of what modules really return."""

from playbook_code import load

own_module = load("action_plugins", "own_module")


def test_a_diff_keeps_the_name_of_its_file() -> None:
    """``plan`` finds the diff of a change by that name."""
    sent = [{"name": "/etc/a.conf", "prepared": "--- /etc/a.conf\n+++ /etc/a.conf\n-1\n+2\n"}]
    assert own_module.ANSWERS["component"]["diff"](sent) == sent


def test_what_modules_never_return_is_dropped() -> None:
    lie = [{"name": "/etc/a.conf", "prepared": "", "ansible_facts": {"a": 1}}]
    assert own_module.ANSWERS["component"]["diff"](lie) == [{"name": "/etc/a.conf", "prepared": ""}]

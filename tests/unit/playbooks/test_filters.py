"""The filters of the roles' templates."""

from collections.abc import Callable
from typing import Any

import pytest
from playbook_code import load

FILTERS: dict[str, Callable[..., Any]] = load("filter_plugins", "k8sbootstrap").FilterModule().filters()
MEMBERS = {"b": "10.0.0.2", "a": "10.0.0.1", "c": "10.0.0.3"}


@pytest.mark.parametrize(
    ("flags", "lines"),
    [
        ({}, ""),
        ({"b": 1, "a": "x"}, "  --a=x \\\n  --b=1"),
        ({"yes": True, "no": False}, "  --no=false \\\n  --yes=true"),
        ({"unset": None, "empty": "", "zero": 0}, "  --empty= \\\n  --zero=0"),
        ({"a": "50%", "b": "$HOME", "c": "\\d"}, "  --a=50%% \\\n  --b=$$HOME \\\n  --c=\\\\d"),
        ({"a": "two words"}, '  "--a=two words"'),
        ({"a": 'say "hi" ; now'}, '  "--a=say \\"hi\\" ; now"'),
        ({"a": "it's"}, '  "--a=it\'s"'),
    ],
)
def test_flags_of_systemd_units(flags: dict[str, Any], lines: str) -> None:
    assert FILTERS["systemd_flags"](flags) == lines


def test_values_of_environment_files_arrive_as_they_are() -> None:
    lines = FILTERS["environment_lines"]({"b": "http://u:p%40$HOME`x`@h", "a": 'say "\\"'})
    assert lines == 'a="say \\"\\\\\\""\nb="http://u:p%40\\$HOME\\`x\\`@h"'


def test_an_api_server_uses_its_own_member_alone() -> None:
    assert FILTERS["etcd_urls"](MEMBERS, "c") == "https://10.0.0.3:2379"


def test_members_that_come_before_one() -> None:
    before = FILTERS["members_before"]
    assert before(MEMBERS, "c", ["a", "other", "c", "b"]) == {"a": "10.0.0.1"}
    assert before(MEMBERS, "a", ["a", "c", "b"]) == {}


def test_an_api_server_without_a_member_uses_all() -> None:
    urls = FILTERS["etcd_urls"](MEMBERS, "other")
    assert urls == "https://10.0.0.2:2379,https://10.0.0.1:2379,https://10.0.0.3:2379"


def test_peers_are_all_but_the_host_itself() -> None:
    tls = {"ca": "/ca"}
    found = FILTERS["peer_health"](MEMBERS, "a", "https", 6443, "/readyz", tls)
    assert [peer["url"] for peer in found] == ["https://10.0.0.2:6443/readyz", "https://10.0.0.3:6443/readyz"]
    assert all(peer["ca"] == "/ca" for peer in found)
    assert tls == {"ca": "/ca"}

"""Items of the action ``component``, as a role writes them and as Ansible resolves them."""

from pathlib import Path
from typing import Any

import pytest
from ansible._internal._templating._engine import TemplateEngine
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import action_loader
from playbook_code import PLAYBOOKS, load

action_loader.add_directory(str(PLAYBOOKS / "action_plugins"))
component = load("action_plugins", "component")
VARIABLES = {
    "role_name": "demo",
    "demo_plugins": ["bridge", "loopback"],
    "demo_programs": {"bridge": {"sha256": "b"}, "loopback": {"sha256": "l"}},
    "demo_said": "{{ 1 + 1 }}",
}


def resolve(tmp_path: Path, written: str, option: str = "files") -> Any:
    """What an option becomes that stands in a role as this YAML."""
    source = tmp_path / "main.yml"
    source.write_text(written)
    loader = DataLoader()
    engine = TemplateEngine(loader=loader, variables=VARIABLES)
    value = loader.load_from_file(str(source), trusted_as_template=True)
    return component.ActionModule.finalize_task_arg(option, value, engine, None)


def test_an_item_is_left_out_where_its_when_is_false(tmp_path: Path) -> None:
    written = """
      - {dest: /a, content: a, when: "'bridge' in demo_plugins"}
      - {dest: /b, content: b, when: "'other' in demo_plugins"}
      - {dest: /c, content: c}
    """
    assert resolve(tmp_path, written) == [{"dest": "/a", "content": "a"}, {"dest": "/c", "content": "c"}]


def test_what_is_left_out_is_not_looked_at(tmp_path: Path) -> None:
    written = """
      - {dest: /a, artifact: "{{ demo_programs.other }}", when: "'other' in demo_programs"}
    """
    assert resolve(tmp_path, written, "binaries") == []


def test_one_item_for_each_value_of_a_loop_and_its_when_sees_the_value(tmp_path: Path) -> None:
    written = """
      - dest: "/opt/{{ item }}"
        artifact: "{{ demo_programs[item] }}"
        loop: "{{ demo_plugins }}"
        when: item != 'bridge'
    """
    assert resolve(tmp_path, written, "binaries") == [{"dest": "/opt/loopback", "artifact": {"sha256": "l"}}]


@pytest.mark.parametrize("option", ["users", "directories", "files", "binaries", "units", "images"])
def test_all_lists_take_them(tmp_path: Path, option: str) -> None:
    assert resolve(tmp_path, '[{name: a, when: false}, {name: "{{ item }}", loop: [b, c]}]', option) == [
        {"name": "b"},
        {"name": "c"},
    ]


def test_text_of_a_variable_is_no_template(tmp_path: Path) -> None:
    """What a host said may have got into variables: it must not be evaluated here."""
    assert resolve(tmp_path, '[{dest: "{{ item }}", loop: ["{{ demo_said }}"]}]') == [{"dest": "{{ 1 + 1 }}"}]
    with pytest.raises(AnsibleError):
        resolve(tmp_path, '[{dest: /a, when: "{{ demo_said }}"}]')


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("when: demo_nothing", ": `when: demo_nothing`: .*'demo_nothing' is undefined"),
        ("when: 1 +", r": `when: 1 \+`: Syntax error"),
        ("when: demo_plugins", ": `when: demo_plugins`: .*must have a boolean result"),
        ("when: [true]", ": .*must be strings"),
        ("loop: bridge", ": `loop` is not a list"),
    ],
)
def test_an_error_names_role_item_and_expression(tmp_path: Path, written: str, told: str) -> None:
    with pytest.raises(AnsibleError, match=f"^role demo, files, /etc/a{told}"):
        resolve(tmp_path, f"[{{dest: /etc/a, content: a, {written}}}]")


def test_other_options_are_resolved_as_ever(tmp_path: Path) -> None:
    assert resolve(tmp_path, '"{{ demo_plugins }}"', "needs") == ["bridge", "loopback"]
    assert resolve(tmp_path, '"{{ demo_plugins }}"', "users") == ["bridge", "loopback"]


def test_names_of_the_pki_are_files_with_the_modes_of_their_kind() -> None:
    item = {
        "dest": "/etc/k/pki",
        "src": "/pki",
        "pki": ["ca.crt", "sa.pub", "sa.key", "client"],
        "restarts": [],
    }
    public = {"owner": "root", "group": "root", "mode": "0644", "secret": False, "restarts": []}
    private = {**public, "mode": "0600", "secret": True}
    assert component._of_pki(item) == [
        {"dest": "/etc/k/pki/ca.crt", "src": "/pki/ca.crt", **public},
        {"dest": "/etc/k/pki/sa.pub", "src": "/pki/sa.pub", **public},
        {"dest": "/etc/k/pki/sa.key", "src": "/pki/sa.key", **private},
        {"dest": "/etc/k/pki/client.crt", "src": "/pki/client.crt", **public},
        {"dest": "/etc/k/pki/client.key", "src": "/pki/client.key", **private},
    ]


def test_kubeconfigs_of_the_pki_are_secret() -> None:
    (made,) = component._of_pki({"dest": "/etc/k", "src": "/pki", "pki": ["admin.conf"]})
    assert (made["mode"], made["secret"], "restarts" in made) == ("0600", True, False)


def test_files_of_the_pki_for_another_user_and_with_another_name() -> None:
    item = {"dest": "/etc/etcd", "src": "/pki", "pki": {"etcd-peer": "peer"}, "user": "etcd"}
    assert component._of_pki(item) == [
        {
            "dest": "/etc/etcd/peer.crt",
            "src": "/pki/etcd-peer.crt",
            "owner": "root",
            "group": "etcd",
            "mode": "0640",
            "secret": False,
        },
        {
            "dest": "/etc/etcd/peer.key",
            "src": "/pki/etcd-peer.key",
            "owner": "etcd",
            "group": "etcd",
            "mode": "0600",
            "secret": True,
        },
    ]


def test_the_mode_of_certificates_may_be_another_but_never_that_of_keys() -> None:
    item = {"dest": "/etc", "src": "/pki", "pki": ["a"], "mode": "0640"}
    assert [made["mode"] for made in component._of_pki(item)] == ["0640", "0600"]

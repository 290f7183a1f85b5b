"""docs/roles.md says what the roles' argument specs say."""

from pathlib import Path

import yaml

from k8sbootstrap.catalog.distributions import load_distributions
from tools.roles_page import roles_in_order, roles_reference

ROOT = Path(__file__).parents[3]


def test_the_page_is_current() -> None:
    committed = (ROOT / "docs" / "roles.md").read_text(encoding="utf-8")
    assert committed == roles_reference(), "python -m tools.roles_page > docs/roles.md"


def test_the_page_names_every_distribution_of_the_catalogue() -> None:
    """No role says so itself: what one takes, all of them take."""
    head = " ".join(roles_reference().partition("\n## ")[0].split())
    known = load_distributions()
    for platform in known.platforms:
        for os_id, versions in platform.versions.items():
            assert f"{known.names[os_id]} {' or '.join(versions)}" in head
    assert not list((ROOT / "roles").glob("*/meta/main.yml"))


def test_every_role_is_there_once_and_runs_in_one_playbook() -> None:
    roles = [role for _, role in roles_in_order(ROOT)]
    assert sorted(roles) == sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
    assert roles_in_order(ROOT)[0] == ("host.yml", "host")


def test_every_variable_of_every_role_is_a_row_of_its_section() -> None:
    page = roles_reference()
    for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        section = page.split(f"## {path.parts[-3]}\n")[1].split("\n## ")[0]
        options = yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]
        rows = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
        assert rows == list(options)


def test_defaults_and_required_variables() -> None:
    page = roles_reference()
    assert "| `etcd_cluster` | str | required | " in page
    assert "| `kube_apiserver_port` | int | `6443` | " in page
    assert "| `etcd_extra_args` | dict | empty | " in page
    assert "`net.ipv4.ip_forward: 1`<br>" in page
    assert "| `pod_network_mtu` | int | `0` | " in page

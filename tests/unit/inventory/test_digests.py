"""Digests of roles: the same where nothing differs, another one where anything that the role sees does."""

from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.inventory.digests import Digests, roles

ARTIFACT = {"path": "/cache/etcd", "sha256": "aa", "url": "https://mirror/etcd"}


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    for name in (
        "ca.crt",
        "hosts/one/etcd-server.crt",
        "hosts/two/etcd-server.crt",
    ):
        path = tmp_path / "pki" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "pki"


def digests(pki: Path, host: str = "one", shared: Any = None, own: Any = None) -> dict[str, str]:
    variables = {"etcd_pki_dir": str(pki), "etcd_binaries": {"etcd": ARTIFACT}} | (shared or {})
    return Digests(by_role(variables), pki).of_host(host, by_role(own or {}))


def by_role(variables: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Role to its variables."""
    return {
        role: {name: value for name, value in variables.items() if name.startswith(f"{role}_")}
        for role in roles()
    }


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {role for role in roles() if before[role] != after[role]}


def test_the_same_again(pki: Path) -> None:
    assert changed(digests(pki), digests(pki)) == set()


def test_a_variable_counts_for_its_role_alone(pki: Path) -> None:
    assert changed(digests(pki), digests(pki, shared={"etcd_extra_args": {"v": "1"}})) == {"etcd"}
    assert changed(digests(pki), digests(pki, own={"kubelet_taints": []})) == {"kubelet"}


def test_where_a_file_comes_from_does_not_count(pki: Path) -> None:
    moved = {"etcd_binaries": {"etcd": ARTIFACT | {"path": "/elsewhere", "url": None}}}
    assert changed(digests(pki), digests(pki, shared=moved)) == set()
    other = {"etcd_binaries": {"etcd": ARTIFACT | {"sha256": "bb"}}}
    assert changed(digests(pki), digests(pki, shared=other)) == {"etcd"}


def test_certificates_count_where_they_are_copied(pki: Path) -> None:
    before, other = digests(pki), digests(pki, "two")
    (pki / "hosts/one/etcd-server.crt").write_text("renewed")
    assert changed(before, digests(pki)) == {"etcd"}
    assert changed(other, digests(pki, "two")) == set()


def test_a_single_file_counts_by_its_content(pki: Path) -> None:
    own = {"kube_proxy_ca": str(pki / "ca.crt")}
    before = digests(pki, own=own)
    (pki / "ca.crt").write_text("another")
    assert changed(before, digests(pki, own=own)) == {"etcd", "kube_proxy"}


def test_where_packages_come_from_does_not_count(pki: Path) -> None:
    """With a bundle and without it, hosts are the same."""
    bundled = {"packages_repositories": {"debian12/amd64": "/cache/repositories/aa"}}
    assert changed(digests(pki), digests(pki, shared=bundled)) == set()


def test_openings_of_a_firewall_do_not_count(pki: Path) -> None:
    """Hosts without firewalld have nothing to do when others come."""
    more = {"host_firewall": {"sources": ["10.0.0.9"]}}
    assert changed(digests(pki), digests(pki, own=more)) == set()


def test_nodes_without_settings_do_not_count(pki: Path) -> None:
    master = {"labels": {"zone": "a"}, "taints": []}
    plain = {"labels": {}, "taints": []}
    before = digests(pki, shared={"node_settings_nodes": {"one": master}})
    joined = digests(pki, shared={"node_settings_nodes": {"one": master, "two": plain}})
    assert changed(before, joined) == set()
    labelled = digests(pki, shared={"node_settings_nodes": {"one": master, "two": master}})
    assert changed(joined, labelled) == {"node_settings"}
    without = digests(pki, shared={"node_settings_nodes": {"one": plain}})
    assert changed(before, without) == {"node_settings"}

"""The inventory as Ansible gets it: golden files, no secret in any of them, and all of the value."""

import json
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from k8sbootstrap.formats import ansible_yaml
from k8sbootstrap.inventory.build import build_connections
from k8sbootstrap.inventory.connection import sudo_password_variable
from k8sbootstrap.inventory.model import Inventory
from k8sbootstrap.inventory.write import write_inventory
from k8sbootstrap.plan.models import ClusterPlan
from tests.unit.inventory.clusters import CLUSTER, PASSWORD, built, flat

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def inventory(cluster: Callable[[str], ClusterPlan], tmp_path: Path) -> Inventory:
    """The inventory of three masters and two workers."""
    return built(cluster(CLUSTER), tmp_path)


@pytest.fixture
def written(inventory: Inventory, tmp_path: Path) -> Path:
    """Where it is written."""
    write_inventory(inventory, tmp_path / "inventory")
    return tmp_path / "inventory"


def files(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def test_golden(written: Path, tmp_path: Path, golden: Callable[[Path, str], None]) -> None:
    for name, path in files(written).items():
        text = re.sub(r"(?m)^(\w+_digest): '?[0-9a-f]{32}'?$", r"\1: DIGEST", path.read_text())
        golden(GOLDEN / name, text.replace(str(tmp_path), "/folder"))
    assert set(files(GOLDEN)) == set(files(written))


def test_the_files_say_what_the_value_does(inventory: Inventory, written: Path) -> None:
    """Digests are computed from the value, and what roles do comes from the files."""
    assert ansible_yaml.load((written / "group_vars/all.yml").read_text()) == flat(inventory.shared)
    for host, sections in inventory.hosts.items():
        digests = {f"{role}_digest": digest for role, digest in inventory.digests[host].items()}
        assert ansible_yaml.load((written / f"host_vars/{host}.yml").read_text()) == flat(sections) | digests
    groups = yaml.safe_load((written / "hosts.yml").read_text())["all"]["children"]
    assert {name: list(group["hosts"] or ()) for name, group in groups.items()} == inventory.groups


def test_names_and_digests_that_yaml_would_misread_stay_text(tmp_path: Path) -> None:
    names = ["no", "123", "1e3", "null", "0x1f"]
    hosts = {name: {"host": {"host_selinux_booleans": []}} for name in names}
    digests = {name: {"etcd": "0" * 32} for name in names}
    write_inventory(Inventory({"nodes": names}, {}, hosts, digests), tmp_path / "inventory")
    listed = subprocess.run(
        [Path(sys.executable).with_name("ansible-inventory"), "-i", tmp_path / "inventory", "--list"],
        env={"HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=True,
    )
    seen = json.loads(listed.stdout)
    assert seen["nodes"]["hosts"] == names
    assert {host: own["etcd_digest"] for host, own in seen["_meta"]["hostvars"].items()} == dict.fromkeys(
        names, "0" * 32
    )


def test_the_sudo_password_is_in_no_file(written: Path) -> None:
    texts = {name: path.read_text() for name, path in files(written).items()}
    assert [name for name, text in texts.items() if PASSWORD in text] == []
    variable = sudo_password_variable("worker2")
    assert f"lookup('ansible.builtin.env', '{variable}')" in texts["host_vars/worker2.yml"]


def test_only_its_owner_can_read_it(written: Path) -> None:
    for path in [written, *written.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_writing_again_touches_nothing(inventory: Inventory, tmp_path: Path) -> None:
    written = write_inventory(inventory, tmp_path / "inventory")
    before = {path: path.stat().st_ino for path in written}
    assert write_inventory(inventory, tmp_path / "inventory") == written
    assert {path: path.stat().st_ino for path in written} == before
    assert set(files(tmp_path / "inventory").values()) == set(written)


def test_a_host_that_is_gone_leaves_no_file(
    written: Path, cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    assert (written / "host_vars/worker2.yml").exists()
    write_inventory(built(cluster(CLUSTER[: CLUSTER.index("  - name: worker2")]), tmp_path), written)
    assert not (written / "host_vars/worker2.yml").exists()
    assert "worker2" not in (written / "hosts.yml").read_text()


def test_connections_alone_hold_no_settings_of_roles(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    write_inventory(build_connections(cluster(CLUSTER)), tmp_path / "connections")
    texts = {name: path.read_text() for name, path in files(tmp_path / "connections").items()}
    assert [name for name, text in texts.items() if PASSWORD in text] == []
    for name, text in texts.items():
        if name.startswith("host_vars/"):
            assert all(key.startswith("ansible_") for key in yaml.safe_load(text))
    assert yaml.safe_load(texts["host_vars/worker2.yml"])["ansible_port"] == 2222
    assert yaml.safe_load(texts["group_vars/all.yml"])["host_cluster"] == "demo"

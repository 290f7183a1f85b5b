"""What is in the inventory of a cluster: which variables, files and digests for which host."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from k8sbootstrap.inventory.model import Inventory
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.resources import data_dir
from tests.unit.inventory.clusters import CLUSTER, built, fetched, flat

ETCD_OF_ARM = "  - {name: etcd1, address: 192.0.2.31, roles: [etcd], arch: arm64}\n"
REGISTRY = "registry: {host: worker1}\n"


def files(variables: dict[str, object]) -> set[str]:
    """Names of variables that name files to install."""
    return {name for name in variables if name.endswith(("_binaries", "_images"))}


def test_roles_declare_what_they_are_given(cluster: Callable[[str], ClusterPlan], tmp_path: Path) -> None:
    text = CLUSTER.replace("hosts:", f"{REGISTRY}hosts:", 1) + ETCD_OF_ARM
    inventory = built(cluster(text), tmp_path, repositories={"debian12/amd64": Path("/cache/debian12")})
    given: dict[str, set[str]] = {}
    for sections in (inventory.shared, *inventory.hosts.values()):
        for role, variables in sections.items():
            given.setdefault(role, set()).update(variables)
    for role, names in given.items():
        assert all(name.startswith(f"{role}_") for name in names), role
    assert given.pop("k8sbootstrap") == {"k8sbootstrap_made_with"}
    del given["ansible"]
    for role, names in given.items():
        specs = yaml.safe_load((data_dir() / "roles" / role / "meta/argument_specs.yml").read_text())
        assert names <= set(specs["argument_specs"]["main"]["options"]), role


def test_hosts_of_another_architecture_get_their_own_files(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    text = CLUSTER.replace("roles: [master, worker]}", "roles: [master, worker], arch: arm64}")
    before = built(cluster(CLUSTER), tmp_path)
    after = built(cluster(text), tmp_path)
    assert after.shared == before.shared
    assert [host for host in after.hosts if after.hosts[host] != before.hosts[host]] == ["master3"]
    ours, common = flat(after.hosts["master3"]), flat(after.shared)
    own = files(common)
    assert len(own) == 9
    assert own <= set(ours)
    for name in own:
        assert "/amd64/" in str(common[name])
        assert "/amd64/" not in str(ours[name])
        assert str(ours[name]).replace("/arm64/", "/amd64/").count("/amd64/") == str(common[name]).count(
            "/amd64/"
        )
        assert ours[name] != common[name]
    changed = {name for name in ours if ours[name] != flat(before.hosts["master3"]).get(name)}
    assert changed == own
    old, new = before.digests["master3"], after.digests["master3"]
    assert {role for role in new if new[role] != old[role]} == {name.rpartition("_")[0] for name in own}


def test_an_etcd_host_of_another_architecture_gets_etcd_alone(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    inventory = built(cluster(CLUSTER + ETCD_OF_ARM), tmp_path)
    assert files(flat(inventory.hosts["etcd1"])) == {"etcd_binaries"}


def test_images_that_were_not_fetched_are_left_to_the_runtime(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    plan = cluster(CLUSTER)
    runtime = built(plan, tmp_path, fetched(plan, images=False)).shared["container_runtime"]
    assert runtime["container_runtime_images"] == []
    assert runtime["container_runtime_sandbox_image"].startswith("registry.k8s.io/pause:")


def test_a_file_that_is_missing_is_named(cluster: Callable[[str], ClusterPlan], tmp_path: Path) -> None:
    plan = cluster(CLUSTER)
    artifacts = fetched(plan)
    del artifacts["kubernetes/1.36.4/amd64/kubelet"]
    with pytest.raises(KeyError, match=r"kubernetes/1\.36\.4/amd64/kubelet"):
        built(plan, tmp_path, artifacts)


def test_hosts_that_only_hold_etcd_get_nothing_else(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    inventory = built(cluster(CLUSTER + "  - {name: etcd1, address: 10.0.0.31, roles: [etcd]}\n"), tmp_path)
    assert inventory.groups["etcd"] == ["etcd1"]
    assert "etcd1" not in inventory.groups["nodes"]
    variables = flat(inventory.hosts["etcd1"])
    assert {name for name in variables if not name.startswith("ansible_")} == {
        "etcd_address",
        "host_firewall",
        "host_selinux_booleans",
        "k8sbootstrap_made_with",
        "packages_hold_units",
        "packages_platforms",
        "retired_components",
    }
    assert variables["retired_components"] == ["image_registry", "api_loadbalancer"]
    assert set(inventory.digests["etcd1"]) == {"etcd", "host", "packages"}
    assert "etcd" not in inventory.hosts["master1"]
    assert "etcd" not in inventory.digests["master1"]


@pytest.fixture
def inventory(cluster: Callable[[str], ClusterPlan], tmp_path: Path) -> Inventory:
    return built(cluster(CLUSTER + ETCD_OF_ARM.replace("etcd]", "worker]").replace("etcd1", "w3")), tmp_path)


def test_files_to_send_are_those_of_the_roles_in_their_order(inventory: Inventory) -> None:
    sent = inventory.files_to_send("worker1", ["kubelet", "container_runtime", "cluster_rbac"])
    names = ["kubelet", "cri-dockerd", "crictl", "image.tar"]
    assert [path.name for path in sent.values()] == names
    kubelet = inventory.shared["kubelet"]["kubelet_binaries"]["kubelet"]
    assert sent[kubelet["sha256"]] == Path(kubelet["path"])


def test_files_to_send_are_of_the_hosts_architecture(inventory: Inventory) -> None:
    sent = inventory.files_to_send("w3", ["kubelet", "container_runtime"])
    assert all("/arm64/" in str(path) for path in sent.values())


def test_files_that_hosts_can_fetch_are_not_sent(inventory: Inventory) -> None:
    sent = inventory.files_to_send("master1", ["etcd", "kube_scheduler"])
    assert [path.name for path in sent.values()] == ["kube-scheduler"]

import shutil
from pathlib import Path

import pytest

from k8sbootstrap.report.drawing import SHOWN, Drawing, draw_topology
from k8sbootstrap.report.topology import ClusterHost, Topology, read_topology
from tests.report_runs import INVENTORY


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    return Path(shutil.copytree(INVENTORY, tmp_path / "inventory"))


def member(name: str, roles: set[str], api: str = "") -> ClusterHost:
    return ClusterHost(
        name=name,
        address="10.0.0.1",
        master="master" in roles,
        etcd="etcd" in roles,
        node="node" in roles,
        tainted=False,
        api=api,
    )


def topology(masters: int, workers: int, etcd: int = 0, endpoint: str = "") -> Topology:
    api = endpoint or "https://127.0.0.1:6443"
    members = [member(f"e{n}", {"etcd"}) for n in range(etcd)]
    members += [member(f"m{n}", {"master", "node"} | (set() if etcd else {"etcd"})) for n in range(masters)]
    members += [member(f"w{n}", {"node"}, api) for n in range(workers)]
    return Topology(tuple(members), endpoint, None if endpoint else 6443, ())


def fits(drawing: Drawing) -> bool:
    boxes = [box for group in drawing.groups for box in group.boxes]
    places = {(box.x, box.y) for box in boxes}
    last = drawing.groups[-1]
    return (
        len(places) == len(boxes)
        and all(box.x >= 0 and box.x + drawing.box_width <= drawing.width for box in boxes)
        and all(box.y + drawing.box_height <= drawing.height for box in boxes)
        and last.y + last.height == pytest.approx(drawing.height)
    )


def test_an_inventory_as_it_is_rendered(inventory: Path) -> None:
    read = read_topology(inventory)
    assert read
    assert [(m.name, m.address, m.roles) for m in read.members] == [
        ("master1", "10.0.0.11", ("etcd", "API server")),
        ("master2", "10.0.0.12", ("etcd", "API server")),
        ("master3", "10.0.0.13", ("etcd", "API server", "pods")),
        ("worker1", "10.0.0.21", ("pods",)),
        ("worker2", "10.0.0.22", ("pods",)),
    ]
    assert (read.endpoint, read.local_port) == ("", 6443)
    assert read.releases == (
        ("kubernetes", "1.36.4"),
        ("cni-plugins", "1.9.1"),
        ("cri-dockerd", "0.3.26"),
        ("crictl", "1.36.0"),
        ("etcd", "3.6.8"),
    )


def test_text_that_looks_like_a_template_hides_nothing(inventory: Path) -> None:
    before = read_topology(inventory)
    file = inventory / "group_vars" / "all.yml"
    file.write_text(file.read_text() + 'kube_scheduler_extra: !unsafe "{{ text }}"\n')
    assert before
    assert before.releases
    assert read_topology(inventory) == before


def test_a_load_balancer_of_the_user(inventory: Path) -> None:
    for name in ("worker1", "worker2"):
        file = inventory / "host_vars" / f"{name}.yml"
        file.write_text(file.read_text().replace("https://127.0.0.1:6443", "https://api.example.com:443"))
    read = read_topology(inventory)
    assert read
    assert (read.endpoint, read.local_port) == ("https://api.example.com:443", None)


def test_an_inventory_of_connections_alone(inventory: Path) -> None:
    """As reset uses it."""
    (inventory / "group_vars/all.yml").write_text("host_cluster: demo\n")
    for file in (inventory / "host_vars").iterdir():
        file.write_text("ansible_host: 192.0.2.1\n")
    read = read_topology(inventory)
    assert read
    assert {member.address for member in read.members} == {"192.0.2.1"}
    assert (read.releases, read.endpoint, read.local_port) == ((), "", None)


@pytest.mark.parametrize(
    "damage", ["", "all: [", "all: {children: 5}", "- a\n", "\0", "all: {children: {masters: }}"]
)
def test_an_inventory_that_can_not_be_read(tmp_path: Path, damage: str) -> None:
    (tmp_path / "hosts.yml").write_text(damage)
    assert read_topology(tmp_path) is None
    assert read_topology(tmp_path / "absent") is None


def test_groups_point_at_what_they_use() -> None:
    drawing = draw_topology(topology(3, 2), {}, 5)
    assert [(group.title, group.arrow, len(group.boxes)) for group in drawing.groups] == [
        ("Control plane: 3 masters", False, 3),
        ("Nodes: 2 workers", True, 2),
    ]
    assert "loss of 1 of 3 members" in " ".join(drawing.groups[0].texts)
    lone = draw_topology(topology(1, 2), {}, 5)
    assert "does not tolerate" in " ".join(lone.groups[0].texts)
    assert "haproxy at 127.0.0.1:6443" in " ".join(drawing.groups[1].texts)
    assert fits(drawing)


def test_etcd_hosts_and_an_endpoint_are_groups_of_their_own() -> None:
    drawing = draw_topology(topology(2, 1, etcd=5, endpoint="https://api.example.com:443"), {}, 5)
    titles = [group.title for group in drawing.groups]
    assert titles == ["etcd: 5 members", "Control plane: 2 masters", "API endpoint", "Nodes: 1 worker"]
    assert "loss of 2 of 5 members" in drawing.groups[0].texts[0]
    assert drawing.groups[2].texts[0].startswith("https://api.example.com:443")
    assert drawing.groups[3].texts == ()
    assert fits(drawing)


@pytest.mark.parametrize("columns", [2, 5])
def test_a_large_cluster_is_cut_and_what_failed_comes_first(columns: int) -> None:
    drawing = draw_topology(
        topology(3, 200), {"w150": "failed", "w151": "unreachable", "w1": "changed"}, columns
    )
    nodes = drawing.groups[1]
    assert [box.name for box in nodes.boxes[:3]] == ["w150", "w151", "w0"]
    assert len(nodes.boxes) == SHOWN
    assert nodes.texts[-1] == "180 more are in the table below."
    assert drawing.groups[0].boxes[0].y < drawing.groups[1].boxes[0].y
    assert fits(drawing)


def test_long_names_are_shortened_and_whole_in_the_tooltip() -> None:
    name = "a-host-with-a-name-that-is-rather-long"
    host = member(name, {"master", "etcd", "node"})
    box = draw_topology(Topology((host,), "", None, ()), {name: "failed"}, 5).groups[0].boxes[0]
    assert box.name == "a-host-with-a-nam…"
    assert box.title == f"{name}, 10.0.0.1, etcd, API server, pods, failed"
    assert box.mark == "✕"

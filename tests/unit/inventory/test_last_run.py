"""What the inventory of an earlier run tells."""

from collections.abc import Callable
from pathlib import Path

from k8sbootstrap.inventory.build import build_connections
from k8sbootstrap.inventory.last_run import release_of
from k8sbootstrap.inventory.write import write_inventory
from k8sbootstrap.plan.models import ClusterPlan
from tests.unit.inventory.clusters import CLUSTER, built


def test_the_release_that_it_was_for(cluster: Callable[[str], ClusterPlan], tmp_path: Path) -> None:
    plan = cluster(CLUSTER)
    assert release_of(tmp_path / "inventory") == ""
    write_inventory(built(plan, tmp_path), tmp_path / "inventory")
    assert release_of(tmp_path / "inventory") == "1.36.4"
    write_inventory(build_connections(plan), tmp_path / "inventory")  # as reset does
    assert release_of(tmp_path / "inventory") == ""

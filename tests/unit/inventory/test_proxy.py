"""The file with the proxy's variables."""

import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path

from k8sbootstrap.inventory.proxy import write_proxy
from k8sbootstrap.plan.models import ClusterPlan
from tests.unit.inventory.clusters import CLUSTER, built, state_of


def test_a_proxy_is_in_a_private_file_and_the_inventory_names_that(
    cluster: Callable[[str], ClusterPlan], tmp_path: Path
) -> None:
    plan = cluster(CLUSTER + "proxy: {http: http://robot:hunter2@proxy.example.com:3128}\n")
    state = state_of(plan, tmp_path)
    state.create()
    write_proxy(plan, state)
    first = state.proxy.read_text()
    write_proxy(plan, state)
    assert state.proxy.read_text() == first
    assert stat.S_IMODE(state.proxy.stat().st_mode) == 0o600
    assert json.loads(first)["variables"]["HTTP_PROXY"] == "http://robot:hunter2@proxy.example.com:3128"
    inventory = built(plan, tmp_path)
    for role in ("packages", "container_runtime"):
        assert inventory.shared[role][f"{role}_proxy"] == {
            "path": str(state.proxy),
            "sha256": hashlib.sha256(first.encode()).hexdigest(),
        }
    assert "hunter2" not in repr(inventory)
    state.proxy.unlink()
    write_proxy(plan, state)
    assert state.proxy.read_text() != first, "its hash can be computed from the password"
    write_proxy(cluster(CLUSTER), state)
    assert not state.proxy.exists()

"""What tests of inventories share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from tests.unit.inventory.clusters import PASSWORD


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ClusterPlan]:
    """Plans a cluster file in the test's folder."""
    monkeypatch.setenv("TEST_SUDO_PASSWORD", PASSWORD)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/id").write_text("key")
    (tmp_path / "keys/id").chmod(0o600)

    def _cluster(text: str) -> ClusterPlan:
        (tmp_path / "cluster.yaml").write_text(text)
        return load_plan(tmp_path / "cluster.yaml")

    return _cluster

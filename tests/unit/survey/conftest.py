from pathlib import Path

import pytest

from k8sbootstrap.plan.models import ClusterPlan
from tests.unit.checks.cluster.healthy import make_plan


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    return make_plan(tmp_path)

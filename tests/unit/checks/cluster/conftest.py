from pathlib import Path

import pytest

from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.cluster.facts import Facts

from .healthy import healthy, make_plan


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    return make_plan(tmp_path)


@pytest.fixture
def facts(plan: ClusterPlan) -> Facts:
    return healthy(plan)

from pathlib import Path

import pytest

from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.doctor.look import ClusterLook
from tests.unit.checks.cluster.healthy import CLUSTER_YAML, make_plan

from .sound import sound

MORE = """\
api: {virtualIP: 192.0.2.100}
etcd:
  snapshots:
    s3: {endpoint: "https://store.example.com", bucket: backups, accessKey: AK, secretKey: {env: S3_SECRET}}
"""


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    return make_plan(tmp_path, f"{CLUSTER_YAML}{MORE}")


@pytest.fixture
def look(plan: ClusterPlan) -> ClusterLook:
    return sound(plan)

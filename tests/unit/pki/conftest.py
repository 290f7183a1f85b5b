import pytest

from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.plan.build import build_plan
from k8sbootstrap.state import State

HOSTS = [
    {"name": "m1", "address": "203.0.113.1", "privateAddress": "10.0.0.1", "roles": ["master"]},
    {"name": "m2", "address": "m2.example.com", "privateAddress": "10.0.0.2", "roles": ["master"]},
    {"name": "w1", "address": "10.0.0.3", "roles": ["worker"]},
]


@pytest.fixture
def make_plan(tmp_path):
    def make(hosts=HOSTS, **api):
        config = {
            "apiVersion": "k8sbootstrap/v1alpha1",
            "kind": "Cluster",
            "name": "demo",
            "kubernetes": {"version": "1.36.2"},
            "hosts": hosts,
            "api": api,
        }
        return build_plan(Cluster.model_validate(config), tmp_path / "cluster.yaml")

    return make


@pytest.fixture
def state(tmp_path):
    return State(tmp_path / ".k8sbootstrap" / "demo")

import json
from pathlib import Path

import pytest

from k8sbootstrap.checks.hosts import CHECKS
from k8sbootstrap.checks.hosts.base import HostCase, Seen
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.plan.build import build_plan
from k8sbootstrap.survey.facts import parse

DATA = Path(__file__).parent / "data"
JUDGES = {check.name: check.judge for check in CHECKS}


@pytest.fixture
def recording():
    """What the probe printed on a bare host, or on a finished master; changed at will."""

    def load(name="bare", **changes):
        return json.dumps({**json.loads((DATA / f"{name}.json").read_text()), **changes})

    return load


@pytest.fixture
def make_plan(tmp_path):
    def make(version="1.34.11", hosts=None, **more):
        config = {
            "apiVersion": "k8sbootstrap/v1alpha1",
            "kind": "Cluster",
            "name": "demo",
            "kubernetes": {"version": version, **more.pop("kubernetes", {})},
            "hosts": hosts or [{"name": "m1", "address": "192.0.2.11", "roles": ["master"]}],
            **more,
        }
        return build_plan(Cluster.model_validate(config), tmp_path / "cluster.yaml")

    return make


@pytest.fixture
def judge(make_plan, recording):
    """Judge one check on a single master (or the given plan's first host) with a changed recording."""

    def run(check, *, plan=None, base="bare", asked=1000.0, answered=1001.0, others=None, **changes):
        plan = plan or make_plan()
        host = plan.hosts[0]
        seen = {host.name: Seen(parse(recording(base, **changes)), asked, answered)}
        for name, other in (others or {}).items():
            seen[name] = Seen(parse(recording(**other)), asked, answered)
        return JUDGES[check](HostCase(plan, host, seen))

    return run

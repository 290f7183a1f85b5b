"""What an upgrade comes to, and how it reads."""

from pathlib import Path

import pytest

from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.todo import Survey, Work
from k8sbootstrap.survey.upgrade.find import find_upgrade, may_be_upgrade
from tests.cluster_yaml import cluster_yaml
from tests.unit.checks.test_upgrade import running, with_node

CLUSTER = cluster_yaml("worker1", "master1", upgrade="{maxUnavailable: 2}")
CHANGED = Work(("configuration",))
ALL = Survey(
    {
        "worker1": {"kubelet": CHANGED, "kube_proxy": CHANGED},
        "master1": {"etcd": CHANGED, "kube_apiserver": CHANGED, "kubelet": CHANGED},
    }
)


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    return load_plan(tmp_path / "cluster.yaml")


def test_another_release(plan: ClusterPlan) -> None:
    found = find_upgrade(plan, running("1.35.6", "3.6.6"), ALL, ())
    assert found is not None
    assert list(found.lines()) == [
        "Kubernetes is upgraded from 1.35.6 to 1.36.2",
        "first: a snapshot of etcd",
        "etcd, one member at a time: from 3.6.6 to 3.6.8",
        "API servers, one at a time: master1",
        "nodes, drained first, one at a time: master1",
        "nodes, drained first, one at a time: worker1",
    ]
    assert found.to_json()["workers"] == ("worker1",)


def test_other_changes_are_none(plan: ClusterPlan) -> None:
    assert find_upgrade(plan, running("1.36.2", "3.6.8"), ALL, ()) is None


def test_a_node_that_was_not_given_back(plan: ClusterPlan) -> None:
    todo = Survey({"worker1": {"kubelet": Work(("upgrade",))}})
    assert may_be_upgrade(todo)
    found = find_upgrade(plan, running("1.36.2", "3.6.8"), todo, ())
    assert found is not None
    assert (found.before, found.nodes, found.changes_data) == ((), ("worker1",), False)


def test_what_is_left_of_one(plan: ClusterPlan) -> None:
    todo = Survey({"worker1": {"kubelet": CHANGED}})
    found = find_upgrade(plan, with_node(running("1.36.2", "3.6.8"), "worker1", version="1.35.6"), todo, ())
    assert found is not None
    assert (found.before, found.masters, found.workers) == (("1.35.6",), (), ("worker1",))


@pytest.mark.parametrize(
    ("todo", "expected"),
    [
        (ALL, True),
        (Survey({"worker1": {"kubelet": Work(("drift",))}}), False),
        (Survey({"worker1": {"host": CHANGED}}), False),
        (Survey(ALL.work, exists=False), False),
    ],
)
def test_when_it_is_worth_a_look(todo: Survey, expected: object) -> None:
    assert may_be_upgrade(todo) is expected

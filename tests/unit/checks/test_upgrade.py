"""Which upgrades are refused, and in which words."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.checks.framework import Status, require
from k8sbootstrap.checks.upgrade import CHECKS, UpgradeCase, is_worth_waiting, judge
from k8sbootstrap.errors import PreflightError
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.status.models import (
    Certificate,
    ClusterStatus,
    ComponentStatus,
    EtcdMemberStatus,
    HostStatus,
    NodeStatus,
)
from k8sbootstrap.survey.upgrade.observe import Running
from k8sbootstrap.survey.upgrade.parse import BarePod, Budget, DeprecatedApi
from tests.cluster_yaml import cluster_yaml

MASTERS = ("master1", "master2", "master3")


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., ClusterPlan]:
    def make(version: str = "1.36.2", args: str = "{}", releases: str = "{}") -> ClusterPlan:
        file = tmp_path / "cluster.yaml"
        kubernetes = f"{{version: {version}, extraArgs: {args}}}"
        file.write_text(cluster_yaml(*MASTERS, "worker1", kubernetes=kubernetes, releases=releases))
        return load_plan(file)

    return make


def running(version: str = "1.35.6", etcd: str = "3.6.6", **other: Any) -> Running:
    """A cluster where all is well."""
    manager = ComponentStatus("kube-controller-manager", version, healthy=True, message="")
    hosts = [
        HostStatus(name, "", ("master", "etcd"), reachable=True, error="", components=(manager,))
        for name in MASTERS
    ]
    status = ClusterStatus(
        cluster="demo",
        version="",
        api_endpoint="",
        api_error="",
        hosts=(*hosts, HostStatus("worker1", "", ("worker",), reachable=True, error="")),
        etcd=tuple(EtcdMemberStatus(name, healthy=True, message="", version=etcd) for name in MASTERS),
        nodes=tuple(
            NodeStatus(name, ready=True, message="", planned=True, version=version)
            for name in (*MASTERS, "worker1")
        ),
    )
    api_servers = dict.fromkeys(MASTERS, version)
    return Running(**{"status": status, "api_servers": api_servers} | other)


def with_node(found: Running, name: str, **changes: Any) -> Running:
    nodes = [replace(node, **changes) if node.name == name else node for node in found.status.nodes]
    return replace(found, status=replace(found.status, nodes=tuple(nodes)))


def with_host(found: Running, name: str, **changes: Any) -> Running:
    hosts = [replace(host, **changes) if host.name == name else host for host in found.status.hosts]
    return replace(found, status=replace(found.status, hosts=tuple(hosts)))


def refused(plan: ClusterPlan, found: Running, left_out: frozenset[str] = frozenset()) -> dict[str, str]:
    """Check to message and mend, of those that fail."""
    report = judge(UpgradeCase(plan, found, left_out))
    assert [result.check for result in report.results] == [check.name for check in CHECKS]
    assert all(result.fix for result in report.failures)
    return {result.check: f"{result.message}. {result.fix}" for result in report.failures}


@pytest.mark.parametrize(
    ("before", "etcd", "after"),
    [("1.35.6", "3.6.6", "1.36.2"), ("1.36.1", "3.6.8", "1.36.2"), ("1.34.0", "3.6.5", "1.35.1")],
)
def test_a_minor_or_a_patch_further_is_fine(
    plan: Callable[..., ClusterPlan], before: str, etcd: str, after: str
) -> None:
    assert refused(plan(after), running(before, etcd)) == {}


def test_a_skipped_minor(plan: Callable[..., ClusterPlan]) -> None:
    said = refused(plan("1.36.2"), running("1.34.9", "3.6.5"))
    assert said == {
        "upgrade-version": "from 1.34.9 to 1.36.2 API servers would skip a minor version. Set "
        "kubernetes.version to a release of 1.35 and run up. Then continue, one minor version at a time."
    }


def test_a_cluster_that_is_older_than_the_catalogue(plan: Callable[..., ClusterPlan]) -> None:
    said = refused(plan("1.34.9"), running("1.20.2", "3.4.13"))
    assert said["upgrade-version"] == (
        "from 1.20.2 to 1.34.9 API servers would skip a minor version. "
        "This version of k8sbootstrap does not install 1.21: install a new cluster."
    )


@pytest.mark.parametrize("before", ["1.36.3", "1.35.6"])
def test_a_downgrade(plan: Callable[..., ClusterPlan], before: str) -> None:
    target = {"1.36.3": "1.36.2", "1.35.6": "1.34.9"}[before]
    said = refused(plan(target), running(before, "3.6.5"))
    assert f"a downgrade to {target} is not possible" in said["upgrade-version"]
    assert f"Set kubernetes.version to {before} or later." in said["upgrade-version"]


def test_what_a_killed_upgrade_left_goes_on(plan: Callable[..., ClusterPlan]) -> None:
    found = running(api_servers={"master1": "1.36.2", "master2": "1.35.6", "master3": "1.35.6"})
    found = with_node(found, "worker1", ready=False, message="not Ready")
    assert refused(plan(), replace(found, cordoned=frozenset({"worker1"}))) == {}


def test_a_kubelet_that_stays_too_far_behind(plan: Callable[..., ClusterPlan]) -> None:
    found = with_node(running(), "worker1", version="1.32.1")
    assert refused(plan(), found) == {}, "it is upgraded"
    said = refused(plan(), found, frozenset({"worker1"}))
    assert (
        "kubelets that stay at 1.32.1 (worker1) would be more than 3 minor versions older"
        in said["upgrade-skew"]
    )


def test_api_servers_too_far_apart(plan: Callable[..., ClusterPlan]) -> None:
    found = running(api_servers={"master1": "1.36.2", "master2": "1.34.9"})
    assert "must be within one minor version of each other" in refused(plan(), found)["upgrade-skew"]


def test_etcd_never_skips_a_minor_nor_goes_back(plan: Callable[..., ClusterPlan]) -> None:
    assert "would skip a minor version" in refused(plan(), running(etcd="3.4.23"))["upgrade-etcd-version"]
    said = refused(plan(), running(etcd="3.6.9"))["upgrade-etcd-version"]
    assert (
        "would install the older 3.6.8. Set its version in cluster.yaml: releases: {1.36.2: {etcd: 3.6.9}}"
        in said
    )
    assert refused(plan(releases="{1.36.2: {etcd: 3.6.9}}"), running(etcd="3.6.9")) == {}


def test_masters_that_are_not_there(plan: Callable[..., ClusterPlan]) -> None:
    lost = with_host(running(), "master2", reachable=False, error="no answer within 10 s")
    assert "master2 does not answer: no answer" in refused(plan(), lost)["upgrade-hosts"]
    sick = ComponentStatus("kube-apiserver", "1.35.6", healthy=False, message="HTTP 500")
    said = refused(plan(), with_host(running(), "master2", components=(sick,)))
    assert "master2: kube-apiserver: HTTP 500" in said["upgrade-hosts"]
    said = refused(plan(), running(), frozenset({"master3"}))
    assert "master3 is left out by --limit" in said["upgrade-hosts"]
    assert refused(plan(), with_host(running(), "worker1", reachable=False)) == {}


def test_a_sick_member_and_a_node_that_is_not_ready(plan: Callable[..., ClusterPlan]) -> None:
    found = with_node(running(), "worker1", ready=False, message="not Ready (KubeletNotReady)")
    members = tuple(replace(each, healthy=False, message="unhealthy") for each in found.status.etcd[:1])
    found = replace(found, status=replace(found.status, etcd=members))
    said = refused(plan(), found)
    assert set(said) == {"upgrade-etcd-health", "upgrade-nodes"}
    assert "worker1: not Ready (KubeletNotReady)" in said["upgrade-nodes"]
    assert is_worth_waiting(judge(UpgradeCase(plan(), found)))
    assert not is_worth_waiting(judge(UpgradeCase(plan("1.34.9"), found)))


def test_a_certificate_that_ends_soon(plan: Callable[..., ClusterPlan]) -> None:
    ending = Certificate("/etc/etcd/pki/peer.crt", "master1", datetime(2027, 1, 2, tzinfo=UTC), 6)
    said = refused(plan(), with_host(running(), "master1", certificates=(ending,)))
    assert "master1: /etc/etcd/pki/peer.crt ends on 2027-01-02" in said["upgrade-certificates"]


def test_deprecated_apis(plan: Callable[..., ClusterPlan]) -> None:
    found = running(deprecated=(DeprecatedApi("a.v1beta1.b", "1.36"), DeprecatedApi("c.v1.d", "1.37")))
    said = refused(plan(), found)["upgrade-deprecated-apis"]
    assert "in use: a.v1beta1.b (removed in 1.36)." in said


def test_pods_that_nothing_makes_again(plan: Callable[..., ClusterPlan]) -> None:
    found = running(bare_pods=(BarePod("default/debug", "worker1"), BarePod("x/y", "not-ours")))
    assert "again: default/debug on worker1." in refused(plan(), found)["upgrade-bare-pods"]
    assert refused(plan(), with_node(found, "worker1", version="1.36.2")) == {}, "it is not drained"


def test_a_budget_that_lets_no_pod_go(plan: Callable[..., ClusterPlan]) -> None:
    tight, idle = Budget("default/web", 0, 2, 2, 2), Budget("default/none", 0, 0, 0, 0)
    said = refused(plan(), running(budgets=(tight, idle)))["upgrade-budgets"]
    assert "no pod can be evicted from default/web (2 of 2 pods are healthy, 2 must be)." in said


def test_failures_are_ignored_by_name_alone(plan: Callable[..., ClusterPlan]) -> None:
    found = running("1.36.3", "3.6.8", budgets=(Budget("default/web", 0, 2, 2, 2),))
    report = judge(UpgradeCase(plan(), found), ["upgrade-budgets"])
    assert [result.check for result in report.failures] == ["upgrade-version"]
    assert [result.check for result in report.having(Status.IGNORED)] == ["upgrade-budgets"]


def test_the_refusal_word_by_word(plan: Callable[..., ClusterPlan]) -> None:
    found = running("1.36.3", "3.6.8", budgets=(Budget("default/web", 0, 2, 2, 2),))
    with pytest.raises(PreflightError) as refusal:
        require(judge(UpgradeCase(plan(), found)))
    assert str(refusal.value).splitlines() == [
        "2 preflight checks failed, and nothing was changed:",
        (
            "demo: upgrade-version: 1.36.3 (kube-apiserver on master1, kube-apiserver on master2, "
            "kube-apiserver on master3, kube-controller-manager on master1 and 6 more): a downgrade to "
            "1.36.2 is not possible, because it may not read the data of a newer release"
        ),
        "    Set kubernetes.version to 1.36.3 or later.",
        "demo: upgrade-budgets: no pod can be evicted from default/web (2 of 2 pods are healthy, 2 must be)",
        (
            "    Run more pods, or let the budget allow a disruption. If you ignore this check, the drain "
            "waits for upgrade.drainTimeout."
        ),
    ]
    assert refusal.value.hint == (
        "Fix these problems, then run the same command again. To ignore a "
        "harmless problem, give the name of its check: upgrade-version, "
        "upgrade-budgets."
    )

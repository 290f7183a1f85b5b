"""The order of a run: what is done when, what is cleaned up, what it does not wait for."""

import time

import pytest

from k8sbootstrap.checks import framework
from k8sbootstrap.checks.cluster import run
from k8sbootstrap.checks.cluster.run import ask_again, hopeless_nodes, run_verify
from k8sbootstrap.checks.framework import Status
from k8sbootstrap.hosts.answers import RunAnswer, RunCommand
from k8sbootstrap.hosts.pool import Pool
from tests.unit.hosts.sessions import unreachable

from .healthy import CLUSTER_YAML, healthy, make_plan, node_of, with_answer
from .scripted import Cluster


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(framework, "SETTLE", 0)


def statuses(report, check):
    return {result.host: result.status for result in report.results if result.check == check}


def test_the_short_form_starts_nothing(plan):
    cluster, seen = Cluster(plan), []
    report = run_verify(plan, Pool(cluster.connect), short=True, on_result=seen.append)
    assert report.ok
    assert list(report.results) == seen
    assert len(cluster.kubectl) == 1
    assert {result.check for result in seen} == {"ssh", "components", "etcd", "api-from-nodes", "nodes"}


def test_an_interrupt_removes_the_namespace_first(plan):
    cluster = Cluster(plan, interrupt_on="rollout status")
    with pytest.raises(KeyboardInterrupt):
        run_verify(plan, Pool(cluster.connect))
    assert "delete namespace k8sbootstrap-verify-" in cluster.kubectl[-1]
    assert "--force" in cluster.kubectl[-1]


def test_an_interrupt_while_making_the_namespace_removes_it_too(plan):
    cluster = Cluster(plan, interrupt_on="kubectl apply")
    with pytest.raises(KeyboardInterrupt):
        run_verify(plan, Pool(cluster.connect))
    assert "delete namespace k8sbootstrap-verify-" in cluster.kubectl[-1]


def test_what_the_api_refuses_is_the_pods_failure_and_is_cleaned_up(plan):
    report = run_verify(plan, Pool(Cluster(plan).connect))
    assert statuses(report, "pods") == {"cluster": Status.FAILED}
    assert "Forbidden" in next(result.message for result in report.failures)
    assert statuses(report, "cleanup") == {"cluster": Status.PASSED}


def test_no_host_at_all(plan):
    report = run_verify(plan, Pool(unreachable))
    assert not report.ok
    assert statuses(report, "nodes") == {"cluster": Status.FAILED}
    assert statuses(report, "pods") == {"cluster": Status.FAILED}
    assert statuses(report, "cleanup") == {"cluster": Status.SKIPPED}


def test_a_dead_host_is_not_waited_for(plan, monkeypatch):
    monkeypatch.setattr(framework, "SETTLE", 30)
    start = time.monotonic()
    report = run_verify(plan, Pool(Cluster(plan, dead={"m1"}).connect), short=True)
    assert time.monotonic() - start < 5
    assert {result.host for result in report.failures} == {"m1"}


def test_a_host_allowed_to_be_down_is_not_even_tried(plan):
    cluster = Cluster(plan, dead={"m1"})
    tried = []

    def connect(target):
        tried.append(target.host)
        return cluster.connect(target)

    report = run_verify(plan, Pool(connect), short=True, allow_down=["m1"])
    assert report.ok
    assert "m1" not in tried


def test_pods_wait_until_the_cluster_has_noticed_a_host_that_is_down(plan, monkeypatch):
    """As long as its node is Ready, Services send requests to pods there."""
    asked = []

    def node(plan, host):
        if host.name != "m1":
            return node_of(plan, host)
        asked.append(host.name)
        ready = "True" if len(asked) < 3 else "Unknown"
        conditions = [{"type": "Ready", "status": ready, "message": "Kubelet stopped posting node status."}]
        return {**node_of(plan, host), "status": {**node_of(plan, host)["status"], "conditions": conditions}}

    monkeypatch.setattr(run, "POLL", 0.001)
    cluster = Cluster(plan, dead={"m1"}, node=node)
    run_verify(plan, Pool(cluster.connect), allow_down=["m1"])
    assert len(asked) == 3
    assert "get nodes" in cluster.kubectl[2]
    assert "kubectl apply" in "".join(cluster.kubectl[3:])


def test_a_cluster_that_never_notices_is_not_waited_for_without_end(plan, monkeypatch):
    monkeypatch.setattr(run, "NOTICE", 0.01)
    monkeypatch.setattr(run, "POLL", 0.001)
    report = run_verify(plan, Pool(Cluster(plan, dead={"m1"}).connect), allow_down=["m1"])
    assert statuses(report, "cleanup") == {"cluster": Status.PASSED}


@pytest.mark.parametrize("endpoint", ["kubelet", "api"])
def test_pods_are_not_waited_for_where_none_can_start(facts, endpoint):
    assert hopeless_nodes(facts) == set()
    http = facts.answers["w1"].http[endpoint]
    broken = with_answer(facts, "w1", http={endpoint: type(http)(0, "", "refused", 0.0)})
    assert hopeless_nodes(broken) == {"w1"}


def test_nodes_that_are_not_ready_are_hopeless(plan):
    facts = healthy(plan)
    facts.nodes["w2"]["status"]["conditions"].pop()
    assert hopeless_nodes(facts) == {"w2"}


def test_no_pods_where_the_pod_network_is_left_to_others(tmp_path):
    plan = make_plan(tmp_path, CLUSTER_YAML + "network: {plugin: none}\n")
    waits = {"type": "Ready", "status": "False", "message": "NetworkReady=false"}

    def waiting(plan, host):
        node = node_of(plan, host)
        return {**node, "status": {**node["status"], "conditions": [waits]}}

    cluster = Cluster(plan, node=waiting)
    report = run_verify(plan, Pool(cluster.connect))
    assert report.ok
    assert len(cluster.kubectl) == 1
    skipped = {result.check for result in report.results if result.status is Status.SKIPPED}
    assert skipped >= {"nodes", "pods", "pod-network", "service", "exec", "cleanup"}


def test_a_request_that_a_new_certificate_cut_is_made_again_and_no_other():
    cut = "Error from server: write tcp 1.2.3.4:5->1.2.3.4:10250: use of closed network connection"
    first = {"a": RunAnswer(1, "", cut), "b": RunAnswer(1, "", "i/o timeout"), "c": RunAnswer(0, "text", "")}
    asked = []

    def batch(commands):
        asked.append(list(commands))
        return {name: first[name] if len(asked) == 1 else RunAnswer(0, "again", "") for name in commands}

    answers = ask_again(batch, {name: RunCommand(("kubectl", name)) for name in first})
    assert asked == [["a", "b", "c"], ["a"]]
    assert [answers[name].said or answers[name].stdout for name in "abc"] == ["again", "i/o timeout", "text"]

"""The checks that look at the cluster as it stands."""

import copy
import json
from dataclasses import replace

import pytest

from k8sbootstrap.checks.cluster import ALL_CHECKS
from k8sbootstrap.checks.framework import Status
from k8sbootstrap.hosts.answers import HttpAnswer, RunAnswer
from k8sbootstrap.survey.cluster.requests import (
    API,
    ENDPOINT_HEALTH,
    ENDPOINT_STATUS,
    MEMBERS,
    UNITS,
    api_get,
    units,
)
from tests.cluster_yaml import cluster_yaml

from .healthy import CHECKS, CLUSTER_YAML, failing, make_plan, members_of, recorded, verdicts, with_answer


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.name)
def test_a_healthy_cluster_passes(check, facts):
    found = verdicts(check, facts)
    assert found
    assert {verdict.status for verdict in found.values()} == {Status.PASSED}
    assert all(verdict.message for verdict in found.values())


def test_check_names_are_unique():
    names = [check.name for check in ALL_CHECKS]
    assert len(set(names)) == len(names)


def lose(facts, host):
    answers = {name: answer for name, answer in facts.answers.items() if name != host}
    return replace(facts, answers=answers, lost={host: f"{host} (192.0.2.13): timed out"})


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.name)
def test_an_unreachable_host_fails_and_all_others_are_still_judged(check, facts):
    found = verdicts(check, lose(facts, "m3"))
    others = {verdict.status for name, verdict in found.items() if name != "m3"}
    assert others <= {Status.PASSED}
    if check.name not in {"nodes", "cleanup"}:  # these have the API's word, not the host's
        assert found["m3"].status is Status.FAILED
        assert len(found) > 1


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.name)
def test_a_host_allowed_to_be_down_is_skipped(check, facts):
    down = replace(lose(facts, "m3"), allow_down=frozenset({"m3"}), lost={})
    found = verdicts(check, down)
    assert not failing(check, down)
    if check.name != "cleanup":
        assert found["m3"].status is Status.SKIPPED


def test_ssh_says_why(facts):
    assert failing(CHECKS["ssh"], lose(facts, "m3")) == {"m3": "(192.0.2.13): timed out"}


def test_components_names_the_one_that_is_down_and_its_unit(facts):
    states = (
        facts.answers["w1"]
        .run[UNITS]
        .stdout.replace(
            "Id=kubelet.service\nActiveState=active\nSubState=running",
            "Id=kubelet.service\nActiveState=inactive\nSubState=dead",
        )
    )
    broken = with_answer(
        facts,
        "w1",
        http={"kubelet": HttpAnswer(0, "", "[Errno 111] Connection refused", 0.0)},
        run={UNITS: RunAnswer(0, states, "")},
    )
    message = failing(CHECKS["components"], broken)["w1"]
    assert "kubelet: http://127.0.0.1:10248/healthz: [Errno 111] Connection refused" in message
    assert "kubelet.service is inactive (dead)" in message
    assert "kube-proxy" not in message


@pytest.mark.parametrize("unit", ["docker", "haproxy"])
def test_components_without_endpoint_are_judged_by_their_unit(facts, unit):
    states = (
        facts.answers["w1"]
        .run[UNITS]
        .stdout.replace(f"Id={unit}.service\nActiveState=active", f"Id={unit}.service\nActiveState=inactive")
    )
    broken = with_answer(facts, "w1", run={UNITS: RunAnswer(0, states, "")})
    assert list(failing(CHECKS["components"], broken)) == ["w1"]


def test_an_inactive_unit_is_not_taken_for_an_active_one(facts):
    broken = with_answer(facts, "w1", run={UNITS: RunAnswer(0, "", "no systemd")})
    assert "haproxy.service is unknown" in failing(CHECKS["components"], broken)["w1"]


def test_kube_proxy_is_not_wanted_where_cilium_replaces_it(tmp_path, plan):
    network = "network: {plugin: cilium, cilium: {kubeProxyReplacement: true}}\n"
    text = (tmp_path / "cluster.yaml").read_text().replace("1.36.2", "1.36.4") + network
    replaced = make_plan(tmp_path, text)
    for host in (0, 3):
        assert "kube-proxy" in units(plan, plan.hosts[host])
        assert "kube-proxy" not in units(replaced, replaced.hosts[host])


def test_haproxy_is_only_wanted_where_workers_use_it(tmp_path, plan):
    text = (tmp_path / "cluster.yaml").read_text() + "api: {endpoint: 'lb.example.com:8443'}\n"
    external = make_plan(tmp_path, text)
    worker = external.hosts[3]
    assert "haproxy" in units(plan, plan.hosts[3])
    assert "haproxy" not in units(plan, plan.hosts[0])
    assert "haproxy" not in units(external, worker)
    assert api_get(external, worker).url == "https://lb.example.com:8443/readyz"
    assert api_get(external, external.hosts[0]).url == "https://127.0.0.1:6443/readyz"


def test_keepalived_is_only_wanted_where_there_is_a_virtual_ip(tmp_path, plan):
    text = (tmp_path / "cluster.yaml").read_text() + "api: {virtualIP: 192.0.2.100}\n"
    virtual = make_plan(tmp_path, text)
    assert "keepalived" in units(virtual, virtual.hosts[0])
    assert "keepalived" not in units(virtual, virtual.hosts[3])
    assert "keepalived" not in units(plan, plan.hosts[0])
    assert "haproxy" in units(virtual, virtual.hosts[3])


def test_etcd_without_quorum(facts):
    answer = RunAnswer(1, recorded("etcd-health-no-quorum.json"), recorded("etcd-health-no-quorum.stderr"))
    status = RunAnswer(0, recorded("etcd-status-no-leader.json"), "")
    broken = with_answer(facts, "m1", run={ENDPOINT_HEALTH: answer, ENDPOINT_STATUS: status})
    failures = failing(CHECKS["etcd"], broken)
    assert "context deadline exceeded" in failures["m1"]
    assert "different values of the leader" in failures["cluster"]
    assert "m1 reports 3" in failures["cluster"]  # the raft term it went on to


def test_etcd_that_is_full(facts):
    said = json.dumps([{"endpoint": "e", "health": False, "error": "Active Alarm(s): NOSPACE "}])
    full = with_answer(facts, "m1", run={ENDPOINT_HEALTH: RunAnswer(1, said, "")})
    assert failing(CHECKS["etcd"], full)["m1"].endswith("(alarm NOSPACE). Run: k8sbootstrap etcd defrag")


def test_etcd_member_that_is_dead(facts):
    dead = RunAnswer(1, "[]", recorded("etcd-status-dead.stderr"))
    failures = failing(CHECKS["etcd"], with_answer(facts, "m2", run={ENDPOINT_STATUS: dead}))
    assert list(failures) == ["m2"]
    assert "Failed to get the status of endpoint" in failures["m2"]
    assert "retry_interceptor" not in failures["m2"]


def change_members(facts, change):
    document = json.loads(members_of(facts.plan))
    change(document["members"])
    answer = RunAnswer(0, json.dumps(document), "")
    for host in ("m1", "m2", "m3"):
        facts = with_answer(facts, host, run={MEMBERS: answer})
    return facts


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda members: members.pop(1), "m1 (https://192.0.2.11:2380) is not a member"),
        (
            lambda members: members.append({"ID": 5, "name": "old", "peerURLs": ["https://192.0.2.99:2380"]}),
            "old (https://192.0.2.99:2380) is not in cluster.yaml",
        ),
        (lambda members: members[2].update(isLearner=True), "m2 is a learner"),
        (lambda members: members[2].pop("name"), "https://192.0.2.12:2380 has never started"),
    ],
)
def test_etcd_membership_differs_from_the_plan(facts, change, words):
    failures = failing(CHECKS["etcd"], change_members(facts, change))
    assert list(failures) == ["cluster"]
    assert words in failures["cluster"]


def test_etcd_members_of_two_clusters(facts):
    status = json.loads(recorded("etcd-status-m2.json"))
    status[0]["Status"]["header"]["cluster_id"] = 1
    broken = with_answer(facts, "m2", run={ENDPOINT_STATUS: RunAnswer(0, json.dumps(status), "")})
    assert "different values of the cluster" in failing(CHECKS["etcd"], broken)["cluster"]


def test_etcd_single_member_without_leader(tmp_path):
    plan = make_plan(
        tmp_path,
        cluster_yaml("name: m1, address: 192.0.2.11, roles: [master, worker]", version="1.36.2"),
    )
    from .healthy import CHECKS, healthy  # noqa: PLC0415

    status = RunAnswer(0, recorded("etcd-status-no-leader.json"), "")
    broken = with_answer(healthy(plan), "m1", run={ENDPOINT_STATUS: status})
    assert failing(CHECKS["etcd"], broken) == {
        "m1": "reports etcdserver: no leader",
        "cluster": "there is no leader",
    }


def test_etcd_when_nobody_answers(facts):
    nobody = replace(facts, answers={}, lost=dict.fromkeys(facts.answers, "gone"))
    failures = failing(CHECKS["etcd"], nobody)
    assert failures["cluster"] == "no member could list the members"
    assert set(failures) == {"m1", "m2", "m3", "cluster"}


def test_api_from_nodes_names_the_url(facts):
    broken = with_answer(facts, "w2", http={API: HttpAnswer(0, "", "timed out", 4.0)})
    assert failing(CHECKS["api-from-nodes"], broken) == {"w2": "https://127.0.0.1:6443/readyz: timed out"}
    sick = with_answer(facts, "w2", http={API: HttpAnswer(500, "[+]ping ok\n[-]etcd failed", "", 0.1)})
    assert "readyz: HTTP 500 [-]etcd failed" in failing(CHECKS["api-from-nodes"], sick)["w2"]


def change_node(facts, name, change):
    changed = copy.deepcopy(facts.nodes)
    change(changed[name])
    return replace(facts, nodes=changed)


@pytest.mark.parametrize(
    ("host", "change", "words"),
    [
        (
            "w1",
            lambda node: node["status"]["nodeInfo"].update(kubeletVersion="v1.35.9"),
            "kubelet v1.35.9, not v1.36.2",
        ),
        ("w1", lambda node: node["status"]["conditions"].pop(), "its kubelet has not reported yet"),
        (
            "w1",
            lambda node: node["status"]["conditions"][1].update(
                status="Unknown", reason="NodeStatusUnknown", message="Kubelet stopped posting node status."
            ),
            "not Ready (NodeStatusUnknown: Kubelet stopped posting node status.)",
        ),
        ("w1", lambda node: node["status"]["addresses"].pop(0), "InternalIP missing, not 192.0.2.21"),
        ("w1", lambda node: node["spec"].update(unschedulable=True), "cordoned"),
        ("w1", lambda node: node["metadata"]["labels"].update(disk="hdd"), "label disk is 'hdd', not 'ssd'"),
        (
            "m1",
            lambda node: node["spec"].clear(),
            "taint node-role.kubernetes.io/control-plane:NoSchedule is missing",
        ),
        (
            "m1",
            lambda node: node["metadata"]["labels"].clear(),
            "label node-role.kubernetes.io/control-plane is missing",
        ),
    ],
)
def test_nodes_differ_from_the_plan(facts, host, change, words):
    failures = failing(CHECKS["nodes"], change_node(facts, host, change))
    assert list(failures) == [host]
    assert words in failures[host]


def test_a_node_that_never_joined(facts):
    absent = {name: node for name, node in facts.nodes.items() if name != "w2"}
    assert "has not joined" in failing(CHECKS["nodes"], replace(facts, nodes=absent))["w2"]


def test_nodes_when_the_api_is_gone(facts):
    gone = replace(facts, nodes={}, api_error="no API server answered (m1: connection refused)")
    assert failing(CHECKS["nodes"], gone) == {"cluster": "no API server answered (m1: connection refused)"}


def without_network(facts, tmp_path, *names):
    """Facts of a cluster whose pod network is left to others, with nodes that wait for it."""
    waits = {
        "type": "Ready",
        "status": "False",
        "message": "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady",
    }
    found = copy.deepcopy(dict(facts.nodes))
    for name in names:
        found[name]["status"]["conditions"] = [waits]
    plan = make_plan(tmp_path, CLUSTER_YAML + "network: {plugin: none}\n")
    return replace(facts, plan=plan, nodes=found)


def test_nodes_that_wait_for_a_pod_network_of_others_are_no_failure(facts, tmp_path):
    waiting = without_network(facts, tmp_path, "w1", "w2")
    found = verdicts(CHECKS["nodes"], waiting)
    assert [name for name, verdict in found.items() if verdict.status is Status.SKIPPED] == ["w1", "w2"]
    assert "network.plugin: none" in found["w1"].message
    assert failing(CHECKS["nodes"], replace(waiting, plan=facts.plan)).keys() == {"w1", "w2"}


def test_what_else_is_wrong_with_such_a_node_is_a_failure(facts, tmp_path):
    waiting = without_network(facts, tmp_path, "w1")
    waiting.nodes["w1"]["spec"]["unschedulable"] = True
    assert failing(CHECKS["nodes"], waiting) == {"w1": "cordoned"}

"""Recorded output that no check's test goes through."""

import copy
import json

import pytest

from k8sbootstrap.checks.workload.lifecycle import read_pod, target_node
from k8sbootstrap.hosts.answers import RunAnswer, shorten
from k8sbootstrap.survey.cluster.facts import Facts
from k8sbootstrap.survey.cluster.parse import (
    etcd_members,
    etcd_status,
    etcd_unhealthy,
    node_ready,
    unit_states,
)
from tests.cluster_yaml import cluster_yaml
from tests.unit.checks.cluster.healthy import CHECKS, ETCD_IDS, failing, make_plan, recorded


def test_an_etcd_without_its_data_is_named() -> None:
    text = "Id=etcd.service\nActiveState=failed\nSubState=failed\nExecMainStatus=78\n"
    gone = RunAnswer(0, text, "")
    assert unit_states(gone) == {"etcd": "failed: its data is gone from /var/lib/etcd"}
    assert unit_states(RunAnswer(0, text.replace("78", "1"), "")) == {"etcd": "failed (failed)"}


def test_units_of_all_kinds():
    assert unit_states(RunAnswer(0, recorded("systemctl-show.txt"), "")) == {
        "kubelet": "active (running)",
        "haproxy": "inactive (dead)",
        "docker": "active (running)",
        "nope": "inactive (dead)",
    }


def test_etcd_of_3_4():
    members = etcd_members(RunAnswer(0, recorded("etcd-members.json"), ""))
    assert {member.name: member.id for member in members} == ETCD_IDS
    assert not any(member.learner for member in members)
    status = etcd_status(RunAnswer(0, recorded("etcd-status-m3.json"), ""))
    assert (status.member, status.leader, status.term, status.version) == (
        ETCD_IDS["m3"],
        ETCD_IDS["m3"],
        2,
        "3.4.23",
    )
    assert not etcd_unhealthy(RunAnswer(0, recorded("etcd-health.json"), ""))


def test_etcdctl_that_is_not_there():
    absent = RunAnswer(127, "", "[Errno 2] No such file or directory: '/usr/local/bin/etcdctl'")
    assert "No such file" in etcd_unhealthy(absent)
    for read in (etcd_members, etcd_status):
        with pytest.raises(ValueError, match="No such file"):
            read(absent)


def test_pods_of_1_20():
    items = json.loads(recorded("pods.json"))["items"]
    pods = {item["status"]["phase"]: read_pod(item) for item in items}
    assert pods["Running"].running
    assert pods["Running"].ip.startswith("10.244.")
    assert pods["Pending"].node == "vw1"
    assert "kubelet has not started it" in pods["Pending"].trouble


def test_a_pod_that_no_scheduler_has_seen_still_has_its_node():
    item = copy.deepcopy(json.loads(recorded("pods.json"))["items"][0])
    name = item["spec"].pop("nodeName")
    assert target_node(item) == name


def test_a_node_of_1_20(tmp_path):
    """A master's Node object, as the cluster gave it, is what the plan wants."""
    node = json.loads(recorded("node.json"))
    assert node_ready(node) == ""
    vm1 = "name: vm1, address: 10.89.0.11, roles: [master]"
    plan = make_plan(tmp_path, cluster_yaml(vm1, version="1.36.2"))
    facts = Facts(plan, nodes={"vm1": node})
    assert not failing(CHECKS["nodes"], facts)
    node["spec"]["taints"] = []
    assert list(failing(CHECKS["nodes"], facts)) == ["vm1"]


def test_long_words_keep_their_ends():
    text = shorten("begin " + "x" * 1000 + "\n end")
    assert text.startswith("begin")
    assert text.endswith(" end")
    assert len(text) < 320
    assert "\n" not in text

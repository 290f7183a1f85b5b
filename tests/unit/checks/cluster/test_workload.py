import json
import os
import platform
from datetime import UTC, datetime, timedelta

import pytest

from k8sbootstrap.checks.workload.lifecycle import ProbePods, abandoned, add_events, holder, read_pod
from k8sbootstrap.checks.workload.manifests import HOLDER, daemon_set
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.survey.cluster.facts import Pod
from k8sbootstrap.survey.cluster.kubectl import Kubectl
from tests.unit.hosts.sessions import ScriptedSession

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def made(age: timedelta, by: str, phase: str = "Active") -> dict:
    created = (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {"name": "x", "creationTimestamp": created, "annotations": {HOLDER: by}},
        "status": {"phase": phase},
    }


def dead_pid() -> int:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


@pytest.mark.parametrize(
    ("age", "by", "expected"),
    [
        (timedelta(seconds=5), holder(), False),
        (timedelta(seconds=5), f"{platform.node()}/{dead_pid()}", True),
        (timedelta(minutes=5), "another-controller/1", False),
        (timedelta(minutes=16), "another-controller/1", True),
        (timedelta(minutes=5), "", False),
        (timedelta(minutes=16), "", True),
    ],
)
def test_only_namespaces_of_dead_runs_are_swept(age, by, expected):
    assert abandoned(made(age, by), NOW) is expected


def test_a_namespace_that_hangs_while_terminating_is_helped_along():
    assert abandoned(made(timedelta(seconds=5), holder(), "Terminating"), NOW)


def pending(**status: object) -> dict:
    name = {"key": "metadata.name", "operator": "In", "values": ["w1"]}
    affinity = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [name]}]}
    }
    return {
        "metadata": {"name": "verify-abcde"},
        "spec": {"affinity": {"nodeAffinity": affinity}},
        "status": {"phase": "Pending", **status},
    }


def test_a_pod_that_runs():
    item = {
        "metadata": {"name": "verify-abcde"},
        "spec": {"nodeName": "w1"},
        "status": {
            "phase": "Running",
            "podIP": "10.244.3.5",
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    assert read_pod(item) == Pod("verify-abcde", "w1", "10.244.3.5", running=True, trouble="")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({}, "no scheduler has handled it"),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "message": "0/5 nodes are available"}
                ]
            },
            "is not scheduled: 0/5 nodes are available",
        ),
        ({"conditions": [{"type": "PodScheduled", "status": "True"}]}, "kubelet has not started it"),
        (
            {
                "conditions": [{"type": "PodScheduled", "status": "True"}],
                "containerStatuses": [
                    {
                        "state": {
                            "waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
                        }
                    }
                ],
            },
            "ImagePullBackOff Back-off pulling image",
        ),
        (
            {
                "conditions": [{"type": "PodScheduled", "status": "True"}],
                "containerStatuses": [{"state": {"terminated": {"reason": "Error", "exitCode": 1}}}],
            },
            "does not run: Error",
        ),
    ],
)
def test_a_pod_that_does_not_run_says_why_and_where(status, words):
    pod = read_pod(pending(**status))
    assert pod.node == "w1"
    assert not pod.running
    assert words in pod.trouble


def event(kind: str, second: int, message: str, pod: str) -> dict:
    time = f"2026-11-24T12:00:{second:02}Z"
    return {"type": kind, "lastTimestamp": time, "message": message, "involvedObject": {"name": pod}}


def test_the_latest_warning_is_added():
    pods = {
        "w1": Pod("a", "w1", "", running=False, trouble="waits"),
        "w2": Pod("b", "w2", "10.244.4.5", running=True, trouble=""),
    }
    events = [
        event("Warning", 2, "failed to set up\nnetwork", "a"),
        event("Warning", 1, "older", "a"),
        event("Warning", 3, "harmless", "b"),
        event("Normal", 4, "pulled", "a"),
    ]
    found = add_events(pods, events)
    assert found["w1"].trouble == "waits; failed to set up network"
    assert found["w2"] == pods["w2"]


@pytest.mark.parametrize(
    ("reason", "runs"), [("CreateContainerConfigError", True), ("ErrImageNeverPull", False)]
)
def test_only_what_waiting_does_not_mend_is_given_up(plan, reason, runs):
    waiting = pending(containerStatuses=[{"state": {"waiting": {"reason": reason, "message": ""}}}])
    running = pending(conditions=[{"type": "Ready", "status": "True"}])
    states = iter([waiting, running])

    def reply(host: str, command: str, stdin: str) -> RunAnswer:
        items = [] if " events " in command else [next(states)]
        return RunAnswer(0, json.dumps({"items": items}), "")

    hosts = Hosts(Pool(lambda target: ScriptedSession(target, reply)), (host.ssh for host in plan.hosts))
    pods = ProbePods(Kubectl(hosts, ["m1"]), "busybox:1", ["w1"]).wait([])
    assert pods["w1"].running is runs


def test_pods_are_wanted_on_the_given_nodes_only_and_tolerate_everything():
    spec = daemon_set("ns", "busybox:1", ["m1", "w1"])["spec"]["template"]["spec"]
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert [term["matchFields"][0]["values"] for term in terms] == [["m1"], ["w1"]]
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["containers"][0]["imagePullPolicy"] == "IfNotPresent"

"""A healthy cluster's facts, put together from recorded output; tests break one thing in them at a time."""

import json
from dataclasses import replace
from pathlib import Path

from k8sbootstrap.checks.cluster import ALL_CHECKS
from k8sbootstrap.checks.framework import CLUSTER, Check, CheckResult, Status, apply
from k8sbootstrap.checks.workload.manifests import LOG_LINE
from k8sbootstrap.checks.workload.traffic import API_SERVICE, DNS, SERVICE, host_request
from k8sbootstrap.hosts.answers import Answer, HttpAnswer, RunAnswer
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import CONTROL_PLANE, ClusterPlan, HostPlan
from k8sbootstrap.survey.cluster.facts import Facts, Pod, Workload
from k8sbootstrap.survey.cluster.requests import (
    ENDPOINT_HEALTH,
    ENDPOINT_STATUS,
    MEMBERS,
    SNAPSHOTS,
    UNITS,
    health_request,
    units,
)
from tests.cluster_yaml import cluster_yaml

CHECKS = {check.name: check for check in ALL_CHECKS}
RECORDED = Path(__file__).parent / "recorded"
CLUSTER_YAML = cluster_yaml(
    "m1", "m2", "m3", "w1, labels: {disk: ssd}", "w2", version="1.36.2", subnet="192.0.2"
)
ETCD_IDS = {"m1": 7616583982444832909, "m2": 11417610130673999598, "m3": 7059799375513725458}


def make_plan(folder: Path, text: str = CLUSTER_YAML) -> ClusterPlan:
    """The plan of a cluster file."""
    file = folder / "cluster.yaml"
    file.write_text(text)
    return load_plan(file)


def recorded(name: str) -> str:
    """One file of recorded output."""
    return (RECORDED / name).read_text()


def members_of(plan: ClusterPlan) -> str:
    """The recorded member list, with the plan's peer URLs."""
    document = json.loads(recorded("etcd-members.json"))
    addresses = {host.name: host.private_address for host in plan.etcd_members}
    document["members"] = [item for item in document["members"] if item["name"] in addresses]
    for item in document["members"]:
        item["peerURLs"] = [f"https://{addresses[item['name']]}:2380"]
    return json.dumps(document)


def answer_of(plan: ClusterPlan, host: HostPlan) -> Answer:
    """What a healthy host answers to the health request."""
    request = health_request(plan, host)
    states = "\n".join(
        f"Id={unit}.service\nActiveState=active\nSubState=running\n" for unit in units(plan, host)
    )
    run = {UNITS: RunAnswer(0, states, "")}
    if host.is_etcd:
        run[MEMBERS] = RunAnswer(0, members_of(plan), "")
        run[ENDPOINT_STATUS] = RunAnswer(0, recorded(f"etcd-status-{host.name}.json"), "")
        run[ENDPOINT_HEALTH] = RunAnswer(0, recorded("etcd-health.json"), "")
        run[SNAPSHOTS] = RunAnswer(0, recorded("etcd-snapshots.txt"), "")
    assert run.keys() == request.run.keys()
    return Answer(http={name: HttpAnswer(200, "ok", "", 0.01) for name in request.http}, run=run)


def node_of(plan: ClusterPlan, host: HostPlan) -> dict:
    """A Ready Node object, reduced to what is looked at."""
    labels = dict(host.labels) | {"kubernetes.io/hostname": host.name}
    if host.is_master:
        labels[CONTROL_PLANE] = ""
    taints = [{"key": taint.key, "effect": taint.effect} for taint in host.taints]
    return {
        "metadata": {"name": host.name, "labels": labels},
        "spec": {"podCIDR": "10.244.0.0/24", **({"taints": taints} if taints else {})},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": str(host.private_address)},
                {"type": "Hostname", "address": host.name},
            ],
            "conditions": [
                {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory"},
                {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready"},
            ],
            "nodeInfo": {"kubeletVersion": f"v{plan.release.version}"},
        },
    }


def exec_output(workload: Workload, pod: Pod, broken: dict[str, str] | None = None) -> str:
    """What the pod script prints; ``broken`` has keys that failed, with wget's words."""
    answers = {other.ip: other.name for other in workload.pods.values() if other != pod}
    answers[SERVICE] = "verify-m1"
    answers[API_SERVICE] = "wget: server returned error: HTTP/1.0 400 Bad Request"
    answers[DNS] = "10.96.0.1"
    lines = [
        f"FAILED {key} {broken[key]}" if key in (broken or {}) else f"OK {key} {said}"
        for key, said in answers.items()
    ]
    return "\n".join([*lines, f"POD {pod.name}", ""])


def healthy(plan: ClusterPlan) -> Facts:
    """Facts of a cluster that is well in every way."""
    pods = {
        host.name: Pod(f"verify-{host.name}", host.name, f"10.244.{i}.5", running=True, trouble="")
        for i, host in enumerate(plan.nodes)
    }
    workload = Workload("k8sbootstrap-verify-abc123", pods, cluster_ip="10.96.7.7", node_port=31234)
    facts = Facts(
        plan,
        answers={host.name: answer_of(plan, host) for host in plan.hosts},
        nodes={host.name: node_of(plan, host) for host in plan.nodes},
        workload=workload,
        leftover="",
    )
    hosts = {}
    for host in plan.nodes:
        wanted = host_request(facts, workload, host).http
        hosts[host.name] = Answer(http={key: HttpAnswer(200, "verify-m1", "", 0.01) for key in wanted})
    workload = replace(
        workload,
        hosts=hosts,
        logs={name: RunAnswer(0, f"{LOG_LINE} {pod.name} on {name}\n", "") for name, pod in pods.items()},
        execs={name: RunAnswer(0, exec_output(workload, pod), "") for name, pod in pods.items()},
    )
    return replace(facts, workload=workload)


def with_answer(facts: Facts, host: str, **changes: dict) -> Facts:
    """``facts`` with parts of one host's http or run answers replaced."""
    old = facts.answers[host]
    new = replace(old, **{part: {**getattr(old, part), **change} for part, change in changes.items()})
    return replace(facts, answers={**facts.answers, host: new})


def verdicts(check: Check[Facts], facts: Facts) -> dict[str, CheckResult]:
    """What a check says, by subject."""
    found = list(apply([check], facts, CLUSTER))
    by_host = {result.host: result for result in found}
    assert len(by_host) == len(found)
    return by_host


def failing(check: Check[Facts], facts: Facts) -> dict[str, str]:
    """Subject to message of the verdicts that failed."""
    return {
        name: verdict.message
        for name, verdict in verdicts(check, facts).items()
        if verdict.status is Status.FAILED
    }

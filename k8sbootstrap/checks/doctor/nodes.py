"""Rules about the API as hosts reach it, and about nodes as it knows them."""

import shlex

from k8sbootstrap.checks.doctor.case import Case, epoch
from k8sbootstrap.checks.doctor.rule import Findings, found, on
from k8sbootstrap.checks.framework import CLUSTER
from k8sbootstrap.plan.phases import CORDONING
from k8sbootstrap.survey.cluster.requests import API
from k8sbootstrap.survey.doctor.objects import Node
from k8sbootstrap.survey.upgrade.observe import CORDONED

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_PRESSURES = {
    "MemoryPressure": "memory",
    "DiskPressure": "disk space",
    "PIDPressure": "process ids",
}


def api_unreachable(case: Case) -> Findings:
    """No API server answers kubectl on the masters.

    Fix: Fix what doctor lists before it. If nothing is, run `k8sbootstrap status`.
    """
    if case.look.api_error:
        yield found(
            CLUSTER,
            "no API server answers: pods run on, but nothing can be changed",
            "Fix what is above. If nothing is, run: k8sbootstrap status",
            evidence=[case.look.api_error],
        )


def api_from_node(case: Case) -> Findings:
    """A node's kubelet can't reach the API, or is not let in.

    Fix: Run `journalctl -u kubelet -n 50` there.
    """
    for view in case.on_each(lambda host: host.is_node):
        said = view.http(API)
        if said is not None and not said.ok:
            place = case.plan.api_of(view.host)
            yield found(
                view.name,
                f"its kubelet does not reach the API at {place}: {said.said}",
                on(view.name, "journalctl -u kubelet -n 50"),
                evidence=[f"https://{place}/readyz: {said.said}", *view.last_trouble("kubelet")],
            )


def missing(case: Case) -> Findings:
    """A host of cluster.yaml is no node of the cluster.

    Fix: Run `k8sbootstrap up`.
    """
    for host in case.plan.nodes if case.nodes else ():
        if host.name not in case.nodes:
            yield found(
                host.name, "is not a node of the cluster: the API has no Node of it", "Run: k8sbootstrap up"
            )


def unplanned(case: Case) -> Findings:
    """A node of the cluster is not in cluster.yaml.

    Fix: Add the host to cluster.yaml, or run `k8sbootstrap remove NAME`.
    """
    planned = {host.name for host in case.plan.hosts}
    for name in case.nodes:
        if name not in planned:
            yield found(
                name,
                "is a node of the cluster, but not in cluster.yaml",
                f"Add it to cluster.yaml. Or take it out, run: k8sbootstrap remove {shlex.quote(name)}",
                evidence=[f"the API has a Node {name}"],
                harmless=True,
            )


def not_ready(case: Case) -> Findings:
    """A node is not Ready: it gets no pods, and those that it has move away after 5 minutes.

    Fix: Run `journalctl -u kubelet -n 50` there.
    """
    for name, node in case.nodes.items():
        ready = node.condition("Ready")
        if ready is not None and ready.status == "True":
            continue
        said = f"{ready.reason}: {ready.message}" if ready else "its kubelet has not reported yet"
        yield found(
            name,
            f"the node is not Ready: {said}",
            on(name, "journalctl -u kubelet -n 50"),
            evidence=[f"condition Ready of Node {name}: {said}"],
            since=epoch(ready.last_transition_time) if ready else None,
        )


def pressure(case: Case) -> Findings:
    """A node is short of memory, disk space or process ids, and evicts pods.

    Fix: Free some of what is short: `df -h` shows disks, `systemd-cgtop -m -n 1` memory.
    """
    for name, node in case.nodes.items():
        for kind, what in _PRESSURES.items():
            condition = node.condition(kind)
            if condition is not None and condition.status == "True":
                yield found(
                    name,
                    f"the node is short of {what}, and evicts pods",
                    on(name, "df -h" if kind == "DiskPressure" else "systemd-cgtop -m -n 1"),
                    evidence=[f"condition {kind} of Node {name}: {condition.message}"],
                    since=epoch(condition.last_transition_time),
                )


def cordoned(case: Case) -> Findings:
    """A node is cordoned: it gets no new pods.

    Fix: If a command of k8sbootstrap was stopped in between, run it again. Else, if nobody works on the node:
    `k8sbootstrap kubectl uncordon NAME`.
    """
    for name, node in case.nodes.items():
        if node.spec.unschedulable:
            taint = next((each for each in node.spec.taints or () if each.key == UNSCHEDULABLE), None)
            by = node.cordoned_by
            yield found(
                name,
                *_cordon(name, node),
                evidence=[
                    f"spec.unschedulable of Node {name}: true",
                    *([f"annotation {CORDONED} of Node {name}: {by}"] if by is not None else []),
                ],
                since=epoch(taint.time_added) if taint else None,
                harmless=True,
            )


def _cordon(name: str, node: Node) -> tuple[str, str]:
    """What is wrong with a cordoned node, and what fixes it: the command that was stopped in between."""
    quoted = shlex.quote(name)
    if node.cordoned_by is None:
        return (
            "the node is cordoned: it gets no new pods",
            f"If nobody works on it, run: k8sbootstrap kubectl uncordon {quoted}",
        )
    command = node.cordoned_by.partition(":")[0]
    if command == "stop":
        return "the node is cordoned since k8sbootstrap stop", f"Run: k8sbootstrap start {quoted}"
    if command in CORDONING:
        again = f"If it does not run any more, run it again: k8sbootstrap {command} {quoted}"
        other = "Or run: k8sbootstrap up, which only lets pods on the node again"
        return f"the node is cordoned, and k8sbootstrap {command} has not ended", f"{again}. {other}"
    return (
        "the node is cordoned, and its upgrade has not ended",
        "If k8sbootstrap up does not run any more, run it again: k8sbootstrap up",
    )

"""Waits until the pods of workloads run, and says why they do not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from ansible.module_utils.k8sbootstrap.kube.kubectl import (
    ADMIN,
    KubectlError,
    Object,
    kubectl,
    kubectl_json,
    patiently,
)
from ansible.module_utils.k8sbootstrap.kube.objects import key_of, live_objects

WORKLOADS = ("DaemonSet", "Deployment")
_HOPELESS = ("ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName")
"""Reasons for waiting that seldom go by themselves."""
_VAGUE = ("ContainerCreating", "PodInitializing")
_PATIENCE = 60.0
"""Seconds that even those get: a registry may be slow for once."""


def wait_for(objects: list[Object], timeout: int, kinds: tuple[str, ...] = WORKLOADS) -> None:
    """Wait for the workloads among some objects.

    Nodes whose kubelet is lost are made allowance for: one pod each may be missing.

    Args:
        objects: The objects.
        timeout: Seconds.
        kinds: Kinds of workloads that are waited for.

    Raises:
        KubectlError: Some do not run after ``timeout`` seconds; says why.
    """
    waited = [item for item in objects if item["kind"] in kinds]
    started = time.monotonic()
    while waited:
        nodes = patiently(lambda: kubectl_json("get", "nodes"))["items"]
        lost = sum(map(is_lost, nodes))
        live = patiently(partial(live_objects, waited, kubeconfig=ADMIN))
        waited = [item for item in waited if not runs(live.get(_key(item, live)), lost)]
        if not waited:
            return
        passed = time.monotonic() - started
        if passed > min(_PATIENCE, timeout):
            reasons = {key_of(item): _reasons(live.get(_key(item, live))) for item in waited}
            hopeless = any(text in reason for reason in reasons.values() for text in _HOPELESS)
            if hopeless or passed > timeout:
                told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
                raise KubectlError(f"after {passed:.0f} s these are not ready: {told}")
        time.sleep(1)


def wait_for_nodes(names: list[str]) -> None:
    """Wait until nodes are Ready; those that are not registered or lost are left out.

    Raises:
        KubectlError: Some are not; says why.
    """
    deadline = time.monotonic() + _PATIENCE
    while names:
        nodes = patiently(lambda: kubectl_json("get", "nodes"))["items"]
        told = {item["metadata"]["name"]: not_ready(item) for item in nodes}
        late = [f"{name} ({told[name]})" for name in names if told.get(name)]
        if not late:
            return
        if time.monotonic() > deadline:
            raise KubectlError(f"after {_PATIENCE:.0f} s these nodes are not Ready: {', '.join(late)}")
        time.sleep(0.5)


def not_ready(node: Object) -> str:
    """What the node's kubelet says of why it is not Ready; empty where it is, or is not heard of any more."""
    for item in node.get("status", {}).get("conditions", ()):
        if item["type"] == "Ready":
            return item.get("message", "") or "no reason given" if item["status"] == "False" else ""
    return "its kubelet has not reported yet"


def is_lost(node: Object) -> bool:
    """Whether the node's kubelet is not heard of any more."""
    conditions = node.get("status", {}).get("conditions", ())
    return any(item["type"] == "Ready" and item["status"] == "Unknown" for item in conditions)


def runs(item: Object | None, lost: int) -> bool:
    """Whether a workload's pods are all new and available, but for some on nodes that are lost."""
    if item is None:
        return False
    status = item.get("status", {})
    if status.get("observedGeneration", 0) < item["metadata"]["generation"]:
        return False
    if item["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        new, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    else:
        wanted = item["spec"].get("replicas", 1)
        new, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    enough = max(wanted - lost, min(wanted, 1))
    return bool(new >= enough and available >= enough)


def _key(item: Object, live: Mapping[str, Object]) -> str:
    """The key of an object in ``live``, where each has its namespace."""
    key = key_of(item)
    return key if key in live else f"{item['kind']}/default/{item['metadata']['name']}"


def _reasons(item: Object | None) -> str:
    if item is None:
        return "it is gone"
    selector = ",".join(f"{key}={value}" for key, value in item["spec"]["selector"]["matchLabels"].items())
    pods = kubectl_json("-n", item["metadata"]["namespace"], "get", "pods", f"--selector={selector}")["items"]
    told = {_explained(reason, pod): pod["metadata"]["name"] for pod in pods for reason in trouble(pod)}
    return ", ".join(f"pod {name} {reason}" for reason, name in told.items()) or "it has no pods"


def _explained(reason: str, pod: Object) -> str:
    """A reason that says nothing (an image that takes long has it) with what was last noted of the pod.

    Where a container ends again and again, with the last line that it wrote.
    """
    of, name = ("-n", pod["metadata"]["namespace"]), pod["metadata"]["name"]
    noted = ""
    for container, waiting in _waiting(pod):
        if waiting.get("reason") == "CrashLoopBackOff":
            with contextlib.suppress(KubectlError):
                noted = kubectl(*of, "logs", name, "-c", container, "--previous", "--tail=1").strip()
    if reason.rsplit(maxsplit=1)[-1] in _VAGUE:
        of_pod = "--field-selector=involvedObject.uid={}".format(pod["metadata"]["uid"])
        events = kubectl_json(*of, "get", "events", of_pod)["items"]
        newest = sorted(events, key=lambda each: each.get("lastTimestamp") or each.get("eventTime") or "")
        noted = newest[-1]["message"] if newest else ""
    return f"{reason} ({noted})" if noted else reason


def _waiting(pod: Object) -> list[tuple[str, dict[str, Any]]]:
    """Name of each container of a pod that waits, and why it does."""
    status = pod.get("status", {})
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    waiting = [(each.get("name", ""), each.get("state", {}).get("waiting")) for each in containers]
    return [(name, state) for name, state in waiting if state]


def trouble(pod: Object) -> list[str]:
    """Why a pod is not ready."""
    for _, waiting in _waiting(pod):
        return ["waits: {} {}".format(waiting.get("reason", ""), waiting.get("message", "")).strip()]
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["status"] != "True" and condition.get("message"):
            return [f"is not {condition['type']}: {condition['message']}"]
    return []

"""Taking a node out of service and giving it back: only what was taken here is given back."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ansible.module_utils.k8sbootstrap.kube.kubectl import (
    KubectlError,
    Object,
    items,
    kubectl,
    kubectl_json,
    patiently,
)
from ansible.module_utils.k8sbootstrap.kube.objects import CORDONED

_LEASES = ("kube-controller-manager", "kube-scheduler")
_FINISHED = ("Succeeded", "Failed")


class DrainError(Exception):
    """A node could not be drained or does not come back; the text says what holds it up."""


def node_object(name: str) -> Object:
    """The node as the API server has it."""
    return patiently(lambda: kubectl_json("get", "node", name))


def kubelet_version(node: Object) -> str:
    """MAJOR.MINOR.PATCH of a node's kubelet."""
    found = re.match(r"v?(\d+\.\d+\.\d+)", node["status"]["nodeInfo"]["kubeletVersion"])
    return found.group(1) if found else ""


def require_api_servers(urls: list[str], version: str) -> None:
    """See that every API server runs a release: kubelets must never be newer than any of them.

    Raises:
        DrainError: One runs another, or does not answer.
    """
    for url in urls:
        try:
            answer = patiently(partial(kubectl, "get", "--raw=/version", "--server=" + url))
        except KubectlError as error:
            raise DrainError(f"the API server {url} does not answer: {error}") from error
        found = json.loads(answer)["gitVersion"]
        if not re.match(r"v?" + re.escape(version) + r"\b", found):
            raise DrainError(
                f"the API server {url} still runs {found}: nodes must not be newer than API "
                "servers. Fix that master first."
            )


def wait_for_leaders(timeout: float = 60) -> None:
    """See that a controller-manager and a scheduler work; after a restart they wait for the old lease to end.

    Pods that go while no controller works would stay in Services, and nothing would replace them.

    Raises:
        DrainError: They do not within the time.
    """

    def renewed() -> dict[str, Any]:
        found = items(kubectl_json("get", "leases", "-n", "kube-system", "--ignore-not-found", *_LEASES))
        return {item["metadata"]["name"]: item["spec"].get("renewTime") for item in found}

    before = patiently(renewed)
    deadline = time.monotonic() + timeout
    while True:
        time.sleep(0.5)
        now = patiently(renewed)
        # where leader election is off there is no lease, and nothing to wait for
        waiting = [name for name, renewed_at in before.items() if now.get(name) == renewed_at]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise DrainError(
                "no {} became the leader within {:.0f} s".format(" and no ".join(waiting), timeout)
            )


def cordon(node: Object, reason: str) -> bool:
    """Keep new pods off a node, and write into it that this was done here, and why.

    Returns:
        Whether pods are kept off it here; a node that somebody else keeps pods off stays his.
    """
    known = node["metadata"].get("annotations", {}).get(CORDONED)
    cordoned = node["spec"].get("unschedulable")
    if cordoned and known is None:
        return False
    if not cordoned or known != reason:
        patch = {"metadata": {"annotations": {CORDONED: reason}}, "spec": {"unschedulable": True}}
        _patch(node["metadata"]["name"], patch)
    return True


def uncordon(node: Object) -> bool:
    """Let pods on a node again if they were kept off it here; whether that was so."""
    if CORDONED not in node["metadata"].get("annotations", {}):
        return False
    patch = {"metadata": {"annotations": {CORDONED: None}}, "spec": {"unschedulable": None}}
    _patch(node["metadata"]["name"], patch)
    return True


def evict(name: str, timeout: int, bare_pods: bool) -> None:
    """Have all pods go that can: not those of DaemonSets, nor static ones.

    Raises:
        DrainError: Some stay; names them and what holds them.
    """
    command = ["drain", name, "--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={timeout}s"]
    try:
        kubectl(*command, *(["--force"] if bare_pods else []))
    except KubectlError as error:
        left = left_pods(kubectl_json("get", "pods", "-A", f"--field-selector=spec.nodeName={name}")["items"])
        budgets = kubectl_json("get", "poddisruptionbudgets", "-A")["items"] if left else []
        held = "; ".join(why_held(pod, budgets) for pod in left)
        raise DrainError(
            f"not all of its pods were evicted within {timeout} s: {held or str(error).strip()[-600:]}"
        ) from error


def left_pods(pods: list[Object]) -> list[Object]:
    """Those of a node's pods that draining has to move."""
    return [
        pod
        for pod in pods
        if pod["status"].get("phase") not in _FINISHED
        and not {owner["kind"] for owner in pod["metadata"].get("ownerReferences", [])}
        & {"DaemonSet", "Node"}
    ]


def why_held(pod: Object, budgets: list[Object]) -> str:
    """A pod that stays, and the budgets that keep it, in words."""
    namespace = pod["metadata"]["namespace"]
    name = "{}/{}".format(namespace, pod["metadata"]["name"])
    if pod["metadata"].get("deletionTimestamp"):
        return f"{name} is still terminating"
    holding = [
        "PodDisruptionBudget {}/{}, which allows no eviction ({} of {} pods healthy, {} must be)".format(
            namespace,
            budget["metadata"]["name"],
            budget["status"].get("currentHealthy", 0),
            budget["status"].get("expectedPods", 0),
            budget["status"].get("desiredHealthy", 0),
        )
        for budget in budgets
        if budget["metadata"]["namespace"] == namespace
        and selects(budget["spec"].get("selector"), pod["metadata"].get("labels", {}))
        and not budget["status"].get("disruptionsAllowed")
    ]
    if not holding and not pod["metadata"].get("ownerReferences"):
        return f"{name} has no controller that would start it again on another node"
    return "{} is held by {}".format(name, " and ".join(holding)) if holding else name


def selects(selector: dict[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector chooses these labels."""
    if selector is None:
        return False
    tests: dict[str, Callable[[str, list[str]], bool]] = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, _: key in labels,
        "DoesNotExist": lambda key, _: key not in labels,
    }
    return all(
        labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()
    ) and all(
        tests[rule["operator"]](rule["key"], rule.get("values") or [])
        for rule in selector.get("matchExpressions") or []
    )


def wait_until_ready(name: str, version: str, timeout: int) -> Object:
    """Wait for a node to be Ready with a release.

    Raises:
        DrainError: It is not within the time.
    """
    deadline = time.monotonic() + timeout
    while True:
        node = node_object(name)
        ready = {item["type"]: item for item in node["status"].get("conditions", [])}.get("Ready", {})
        if kubelet_version(node) == version and ready.get("status") == "True":
            return node
        if time.monotonic() > deadline:
            raise DrainError(
                "it is not Ready with {} after {} s: its kubelet reports {}, and {}. It stays "
                "cordoned until it is Ready; see journalctl -u kubelet on the host.".format(
                    version,
                    timeout,
                    kubelet_version(node),
                    ready.get("message") or "nothing else",
                )
            )
        time.sleep(0.5)


def _patch(name: str, patch: dict[str, Any]) -> None:
    patiently(lambda: kubectl("patch", "node", name, "--type=merge", "-p", json.dumps(patch)))

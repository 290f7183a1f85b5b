"""The test workload's life: made, waited for, removed; and those of earlier runs that were killed."""

import json
import os
import platform
import secrets
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from k8sbootstrap.checks.workload.manifests import HOLDER, LABEL, NAME, OWNER, daemon_set, namespace, service
from k8sbootstrap.errors import VerifyError
from k8sbootstrap.hosts.answers import shorten
from k8sbootstrap.survey.cluster.facts import Object, Pod, Workload
from k8sbootstrap.survey.cluster.kubectl import Kubectl, KubectlError
from k8sbootstrap.survey.cluster.objects import parse_objects

PODS_DEADLINE = 180.0
"""Seconds for all pods to run, image pulls included."""
GONE_DEADLINE = 30
"""Seconds for the namespace to go."""
ABANDONED = timedelta(minutes=15)
"""Age from which another controller's namespace belongs to no run any more."""
_STUCK = frozenset({"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
"""Reasons for waiting that more waiting does not fix. CreateContainerConfigError is none of them: for its
first seconds a kubelet has it for every pod ("services have not yet been read at least once")."""


class ProbePods:
    """One run's namespace with its pods and its Service.

    Args:
        kubectl: Runs kubectl.
        image: Image of the pods.
        nodes: Names of the nodes that should each run one.
    """

    def __init__(self, kubectl: Kubectl, image: str, nodes: Iterable[str]) -> None:
        self._kubectl = kubectl
        self._image = image
        self._nodes = tuple(nodes)
        self.namespace = f"{OWNER}-{secrets.token_hex(3)}"

    def create(self) -> Workload:
        """Make everything; does not wait for pods.

        Raises:
            VerifyError: when the API refuses or is gone.
        """
        objects = [
            namespace(self.namespace, holder()),
            service(self.namespace),
            daemon_set(self.namespace, self._image, self._nodes),
        ]
        made = self._kubectl.json(
            "apply",
            "--validate=false",
            "-f",
            "-",
            stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}),
        )
        spec = next(item["spec"] for item in made["items"] if item["kind"] == "Service")
        return Workload(self.namespace, cluster_ip=spec["clusterIP"], node_port=spec["ports"][0]["nodePort"])

    def wait(self, hopeless: Collection[str]) -> dict[str, Pod]:
        """Wait until a pod runs on every node.

        Args:
            hopeless: Nodes that are known to start no pod; they are not waited for.

        Returns:
            Node name to pod, whatever became of it.

        Raises:
            VerifyError: when the API refuses or is gone.
        """
        deadline = time.monotonic() + PODS_DEADLINE
        script = (
            f"kubectl -n {self.namespace} rollout status daemonset/{NAME} --timeout=3s >/dev/null 2>&1\n"
            f"kubectl -n {self.namespace} get pods -o json"
        )
        while True:
            answer = self._kubectl.shell(script)
            if answer.rc != 0:
                raise KubectlError(f"kubectl get pods: {answer.said}")
            try:
                listed = parse_objects(answer.stdout)["items"]
                pods = {pod.node: pod for pod in map(read_pod, listed)}
                stuck = {target_node(item) for item in listed if waiting_reason(item) in _STUCK}
            except (ValueError, LookupError, TypeError, AttributeError) as exc:
                raise KubectlError("kubectl get pods: what it printed can't be used") from exc
            waited_for = set(self._nodes) - {node for node, pod in pods.items() if pod.running}
            waited_for -= stuck | set(hopeless)
            if not waited_for or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        if all(pod.running for pod in pods.values()):
            return pods
        with suppress(VerifyError):
            pods = add_events(pods, self._kubectl.json("-n", self.namespace, "get", "events")["items"])
        return pods

    def remove(self) -> str:
        """Remove the namespace and wait until it is gone.

        Returns:
            What is left and why; empty when nothing is.
        """
        by_hand = f"remove it: kubectl delete namespace {self.namespace}"
        script = (
            delete_script([self.namespace])
            + f"\nkubectl wait --for=delete namespace/{self.namespace} --timeout={GONE_DEADLINE}s"
        )
        try:
            answer = self._kubectl.shell(script, timeout=GONE_DEADLINE + 30)
        except VerifyError as error:
            return f"namespace {self.namespace} may be left: {error}; {by_hand}"
        if answer.rc == 0 or "not found" in answer.stderr.lower():
            return ""
        return f"namespace {self.namespace} is still there: {answer.said}; {by_hand}"

    def sweep(self) -> None:
        """Remove the namespaces of earlier runs that were killed; does not wait for them to go.

        Raises:
            VerifyError: when the API refuses or is gone.
        """
        found = self._kubectl.json("get", "namespaces", f"--selector={LABEL}={OWNER}")["items"]
        dead = [item["metadata"]["name"] for item in found if abandoned(item, datetime.now(UTC))]
        if dead:
            self._kubectl.shell(delete_script(dead))


def delete_script(names: Sequence[str]) -> str:
    """Shell commands that remove namespaces. Pods are forced: none waits for a kubelet that is gone."""
    return "\n".join(
        f"kubectl delete namespace {name} --wait=false --ignore-not-found >/dev/null\n"
        f"kubectl -n {name} delete daemonset {NAME} --cascade=orphan --ignore-not-found >/dev/null 2>&1\n"
        f"kubectl -n {name} delete pods --all --force --grace-period=0 --wait=false >/dev/null 2>&1"
        for name in names
    )


def holder() -> str:
    """This run, as later ones can recognise it."""
    return f"{platform.node()}/{os.getpid()}"


def abandoned(item: Object, now: datetime) -> bool:
    """Whether a verify namespace belongs to no run any more.

    Args:
        item: The Namespace object.
        now: The time to reckon its age from.

    Returns:
        True when it was made on this machine by a process that is gone, or when it is old.
    """
    metadata = item["metadata"]
    if item.get("status", {}).get("phase") == "Terminating":
        return True
    machine, _, pid = metadata.get("annotations", {}).get(HOLDER, "").rpartition("/")
    if machine == platform.node() and pid.isdecimal() and not _alive(int(pid)):
        return True
    return now - datetime.fromisoformat(metadata["creationTimestamp"]) > ABANDONED


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def read_pod(item: Object) -> Pod:
    """A test pod from its object."""
    status = item.get("status", {})
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
    trouble = "" if ready else _trouble(item)
    return Pod(item["metadata"]["name"], target_node(item), status.get("podIP", ""), ready, trouble)


def target_node(item: Object) -> str:
    """The node that a DaemonSet's pod is for, be it scheduled already or not."""
    if name := item["spec"].get("nodeName"):
        return str(name)
    affinity = item["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return str(affinity["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])


def waiting_reason(item: Object) -> str:
    """Why the pod's container waits; empty when it does not."""
    for container in item.get("status", {}).get("containerStatuses", ()):
        if waiting := container.get("state", {}).get("waiting"):
            return str(waiting.get("reason", ""))
    return ""


def _trouble(item: Object) -> str:
    name, status = item["metadata"]["name"], item.get("status", {})
    for container in status.get("containerStatuses", ()):
        state: dict[str, Any] = container.get("state", {})
        for detail in (state.get("waiting"), state.get("terminated")):
            if detail:
                said = f"{detail.get('reason', '')} {detail.get('message', '')}".strip()
                return f"pod {name} does not run: {shorten(said)}"
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            return f"pod {name} is not scheduled: {condition.get('message', condition.get('reason', ''))}"
    if not status.get("conditions"):
        return f"pod {name} is not scheduled: no scheduler has handled it"
    return f"pod {name} is {status.get('phase', 'unknown')}: the node's kubelet has not started it"


def add_events(pods: dict[str, Pod], events: Iterable[Object]) -> dict[str, Pod]:
    """Add the latest warning about each pod that does not run."""
    latest: dict[str, str] = {}
    for event in sorted(events, key=lambda item: item.get("lastTimestamp") or item.get("eventTime") or ""):
        if event.get("type") == "Warning":
            latest[event["involvedObject"]["name"]] = shorten(event.get("message", ""))
    return {
        node: pod
        if pod.running or pod.name not in latest
        else Pod(pod.name, pod.node, pod.ip, running=False, trouble=f"{pod.trouble}; {latest[pod.name]}")
        for node, pod in pods.items()
    }

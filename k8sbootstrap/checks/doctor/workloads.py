"""Rules about pods: their images, the cluster's DNS, pods that crash, wait or can't be placed."""

import shlex
from collections.abc import Iterator

from k8sbootstrap.addons.dns import replicas
from k8sbootstrap.checks.doctor.case import Case, epoch
from k8sbootstrap.checks.doctor.rule import Findings, found
from k8sbootstrap.checks.framework import CLUSTER
from k8sbootstrap.formats.text import count
from k8sbootstrap.survey.doctor.objects import Container, Pod

_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"})
_WAITS = 60.0
"""Seconds after which a pod that has not started is worth a word."""
_DNS_LABEL = ("k8s-app", "kube-dns")


def dns_images(case: Case) -> Findings:
    """CoreDNS can't start because its image can't be pulled.

    Fix: Check that the node reaches the registry, or name a mirror under `runtime.registries`.
    """
    return _images(case, of_dns=True)


def images(case: Case) -> Findings:
    """A pod can't start because its image can't be pulled.

    Fix: Check the image's name, the registry, and the login: `k8sbootstrap kubectl -n NAMESPACE describe pod
    NAME`.
    """
    return _images(case, of_dns=False)


def _images(case: Case, *, of_dns: bool) -> Findings:
    for pod in _living(case):
        container = next((each for each in pod.containers if _waits_for(each) in _IMAGE), None)
        if container is None or container.state.waiting is None or is_dns(pod) != of_dns:
            continue
        said = container.state.waiting
        events = [each for each in case.events_of("Pod", pod.name) if "pull" in each.message.lower()]
        yield found(
            pod.spec.node_name or CLUSTER,
            f"pod {pod.name} can't start: the image {container.image} can't be pulled",
            f"Is the name right, and does the node reach the registry? {_kubectl('describe pod', pod)}",
            evidence=[f"{said.reason}: {said.message}", *(event.message for event in events[-1:])],
            since=epoch(pod.metadata.creation_timestamp),
        )


def dns_off(case: Case) -> Findings:
    """The cluster's DNS is switched off: its deployment is gone, or wants no pods.

    Fix: Run `k8sbootstrap up`. If it is scaled to 0, run `k8sbootstrap kubectl -n kube-system scale
    deployment coredns --replicas=2`.
    """
    if not _has_dns(case):
        return
    deployment = case.deployments.get("coredns")
    if deployment is None:
        yield found(CLUSTER, "there is no DNS: the deployment coredns is gone", "Run: k8sbootstrap up")
    elif not deployment.spec.replicas:
        scale = f"scale deployment coredns --replicas={replicas(case.plan)}"
        yield found(
            CLUSTER,
            "there is no DNS: the deployment coredns is scaled to 0 pods",
            f"Run: k8sbootstrap kubectl -n kube-system {scale}",
            evidence=["spec.replicas of deployment coredns: 0"],
        )


def dns(case: Case) -> Findings:
    """The cluster's DNS has no pod that works: pods find nothing by name.

    Fix: Run `k8sbootstrap kubectl -n kube-system describe pods -l k8s-app=kube-dns`.
    """
    deployment = case.deployments.get("coredns") if _has_dns(case) else None
    if deployment is None or not deployment.spec.replicas or _dns_works(case):
        return
    wanted = deployment.spec.replicas
    condition = next((each for each in deployment.status.conditions or () if each.type == "Available"), None)
    pods = [pod for pod in case.pods if is_dns(pod)]
    yield found(
        CLUSTER,
        f"the cluster's DNS does not work: 0 of {wanted} pods of CoreDNS are available",
        "Run: k8sbootstrap kubectl -n kube-system describe pods -l k8s-app=kube-dns",
        evidence=[f"pod {pod.name} on {pod.spec.node_name or 'no node'}: {_state(pod)}" for pod in pods][:3],
        since=epoch(condition.last_transition_time) if condition and condition.status == "False" else None,
    )


def crashing(case: Case) -> Findings:
    """A pod's container ends again and again.

    Fix: Run `k8sbootstrap kubectl -n NAMESPACE logs --previous NAME`: the container says why it ended.
    """
    for pod in _living(case):
        if is_dns(pod) and not _dns_works(case):
            continue
        for container in pod.containers:
            ended = container.state.terminated or container.last_state.terminated
            if not _crashes(container):
                continue
            code = f" with exit code {ended.exit_code} ({ended.reason})" if ended else ""
            said = container.state.waiting
            yield found(
                pod.spec.node_name or CLUSTER,
                f"pod {pod.name} crashes: its container {container.name} ended again and again{code}",
                _kubectl("logs --previous", pod, container),
                evidence=[
                    f"{count(container.restart_count, 'restart')} of {container.name}",
                    f"{said.reason}: {said.message}" if said else "it has just ended",
                ],
                since=epoch(pod.metadata.creation_timestamp),
            )


def _crashes(container: Container) -> bool:
    """Whether it waits to be started again, or has just ended once more."""
    if _waits_for(container) == "CrashLoopBackOff":
        return True
    ended = container.state.terminated
    return ended is not None and ended.exit_code != 0 and container.restart_count > 0


def unplaced(case: Case) -> Findings:
    """A pod has no node: none fits, or no scheduler looks for one.

    Fix: `k8sbootstrap kubectl -n NAMESPACE describe pod NAME` says what no node has: memory, CPU,
    or a label; or which taints it does not tolerate.
    """
    for pod in _living(case):
        if pod.spec.node_name or pod.status.phase != "Pending" or (is_dns(pod) and not _dns_works(case)):
            continue
        placed = pod.condition("PodScheduled")
        if placed is None and _age(case, pod) < _WAITS:
            continue
        yield found(
            CLUSTER,
            f"pod {pod.name} has no node: {placed.message if placed else 'no scheduler has looked at it'}",
            _kubectl("describe pod", pod),
            evidence=[f"{placed.reason}: {placed.message}"] if placed else (),
            since=epoch(pod.metadata.creation_timestamp),
        )


def waiting(case: Case) -> Findings:
    """A pod has a node, and has not started there for more than a minute.

    Fix: `k8sbootstrap kubectl -n NAMESPACE describe pod NAME` shows what its node waits for.
    """
    for pod in _living(case):
        waits = [each.state.waiting for each in pod.containers if each.state.waiting]
        if pod.status.phase != "Pending" or not pod.spec.node_name or _age(case, pod) < _WAITS:
            continue
        if any(each.reason in _IMAGE or each.reason == "CrashLoopBackOff" for each in waits):
            continue
        events = case.events_of("Pod", pod.name)
        yield found(
            pod.spec.node_name,
            f"pod {pod.name} does not start: {waits[0].reason if waits else 'its node has not begun'}",
            _kubectl("describe pod", pod),
            evidence=[f"{event.reason}: {event.message}" for event in events[-2:]],
            since=epoch(pod.metadata.creation_timestamp),
        )


def is_dns(pod: Pod) -> bool:
    """Whether it is one of CoreDNS's."""
    key, value = _DNS_LABEL
    return pod.metadata.namespace == "kube-system" and (pod.metadata.labels or {}).get(key) == value


def _has_dns(case: Case) -> bool:
    """Whether cluster.yaml has a DNS, and the API could be asked for it."""
    return case.plan.config.dns.name != "none" and bool(case.nodes)


def _dns_works(case: Case) -> bool:
    deployment = case.deployments.get("coredns")
    return deployment is not None and deployment.status.available_replicas > 0


def _living(case: Case) -> Iterator[Pod]:
    """Pods that are to run."""
    return (
        pod
        for pod in case.pods
        if pod.metadata.deletion_timestamp is None and pod.status.phase not in {"Succeeded", "Failed"}
    )


def _age(case: Case, pod: Pod) -> float:
    created = epoch(pod.metadata.creation_timestamp)
    return case.look.at - created if created is not None else 0.0


def _waits_for(container: Container) -> str:
    return container.state.waiting.reason if container.state.waiting else ""


def _state(pod: Pod) -> str:
    reasons = [each.state.waiting.reason for each in pod.containers if each.state.waiting]
    return ", ".join(filter(None, reasons)) or pod.status.phase


def _kubectl(command: str, pod: Pod, container: Container | None = None) -> str:
    words = [*command.split(), pod.metadata.name, "-n", pod.metadata.namespace]
    words += ["-c", container.name] if container else []
    return f"Run: k8sbootstrap kubectl {shlex.join(words)}"

"""Workloads whose pods use the API: restarted, so that their programs read the CAs that they trust again."""

from __future__ import annotations

import json
import time

from ansible.module_utils.k8sbootstrap.kube.kubectl import (
    KubectlError,
    Object,
    items,
    kubectl,
    kubectl_json,
    patiently,
)
from ansible.module_utils.k8sbootstrap.kube.rollout import wait_for

RESTARTED = "k8sbootstrap.io/restarted-for"
"""Annotation of a workload's pods: what they were restarted for."""
KINDS = ("Deployment", "DaemonSet", "StatefulSet")
"""Workloads that replace their pods when the template changes."""
_BROKEN = "-broken"
"""Follows the value where the workload did not have all its pods before: nobody waits for those."""
_POLL = 2
_ROOT_CA = "kube-root-ca.crt"


def uses_api(spec: Object) -> bool:
    """Whether pods with this spec get a token for the API, or the CAs to check it."""
    sources = [
        source
        for volume in spec.get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
    ]
    named = any("serviceAccountToken" in source for source in sources)
    trusts = any(
        (volume.get("configMap") or {}).get("name") == _ROOT_CA for volume in spec.get("volumes") or ()
    )
    return named or trusts or spec.get("automountServiceAccountToken") is not False


def find() -> list[Object]:
    """The workloads whose pods use the API.

    Raises:
        KubectlError: The API did not answer.
    """
    found = patiently(lambda: items(kubectl_json("get", ",".join(KINDS).lower(), "--all-namespaces")))
    return [each for each in found if uses_api(each["spec"]["template"]["spec"])]


def pods_of_others() -> list[str]:
    """NAMESPACE/NAME of pods that use the API and are of none of ``KINDS``: of Jobs, of operators, of nobody.

    Raises:
        KubectlError: The API did not answer.
    """
    found = patiently(lambda: items(kubectl_json("get", "pods", "--all-namespaces")))
    sets = patiently(lambda: items(kubectl_json("get", "replicasets.apps", "--all-namespaces")))
    ours = {each["metadata"]["uid"] for each in sets if _owners(each) & {*KINDS}}
    return [
        "{namespace}/{name}".format(**pod["metadata"])
        for pod in found
        if not _owners(pod) & {"DaemonSet", "StatefulSet", *ours}
        and pod.get("status", {}).get("phase") in {"Pending", "Running"}
        and uses_api(pod["spec"])
    ]


def _owners(item: Object) -> set[str]:
    """Kind and uid of what owns an object."""
    return {
        text for each in item["metadata"].get("ownerReferences") or () for text in (each["kind"], each["uid"])
    }


def long_lived_tokens() -> list[str]:
    """NAMESPACE/NAME of Secrets with a token of a service account, which ends with the key that signed it.

    Raises:
        KubectlError: The API did not answer.
    """
    selector = "--field-selector=type=kubernetes.io/service-account-token"
    form = r'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}'
    words = ("get", "secrets", "--all-namespaces", selector, "-o", form)
    return patiently(lambda: kubectl(*words)).split()


def await_root_ca(certificate: str, seconds: float) -> None:
    """Wait until pods of every namespace are given a CA.

    Args:
        certificate: The CA, in PEM.
        seconds: How long.

    Raises:
        KubectlError: They are not, or the API did not answer.
    """
    deadline = time.monotonic() + seconds
    wanted = "".join(certificate.split())
    while True:
        active = {
            each["metadata"]["name"]
            for each in patiently(lambda: items(kubectl_json("get", "namespaces")))
            if each.get("status", {}).get("phase") != "Terminating"
        }
        maps = patiently(
            lambda: items(
                kubectl_json("get", "configmaps", "-A", f"--field-selector=metadata.name={_ROOT_CA}")
            )
        )
        told = {
            each["metadata"]["namespace"]
            for each in maps
            if wanted in "".join((each.get("data") or {}).get("ca.crt", "").split())
        }
        if active <= told:
            return
        if time.monotonic() > deadline:
            lacking = ", ".join(sorted(active - told)[:5])
            raise KubectlError(
                f"ConfigMap {_ROOT_CA} does not have the new CA after {seconds:g} s in: {lacking}. "
                "kube-controller-manager writes it"
            )
        time.sleep(_POLL)


def restart(reason: str, seconds: float) -> dict[str, list[str]]:
    """Restart all workloads whose pods use the API, as far as they were not restarted for this reason yet.

    Their own strategies hold: rolling updates keep as many pods as they say.

    Args:
        reason: Names what they are restarted for; letters, digits and dashes.
        seconds: How long all of them may take.

    Returns:
        ``restarted``: KIND NAMESPACE/NAME of all; ``broken``: those that lacked pods before, which are not
        waited for; ``held``: those whose own settings keep old pods running.

    Raises:
        KubectlError: One does not get its new pods, or the API did not answer.
    """
    deadline = time.monotonic() + seconds
    said: dict[str, list[str]] = {"restarted": [], "broken": [], "held": []}
    waiting = []
    for each in find():
        name = _name(each)
        value = _value(each)
        if value not in {reason, reason + _BROKEN}:
            value = reason if _is_whole(each) else reason + _BROKEN
            _mark(each, value)
        if _is_held(each):
            said["held"].append(name)
        elif value == reason:
            waiting.append(each)
            said["restarted"].append(name)
        else:
            said["broken"].append(name)
    wait_for(waiting, max(1, int(deadline - time.monotonic())), KINDS)
    return said


def _name(workload: Object) -> str:
    meta = workload["metadata"]
    return f"{workload['kind']} {meta['namespace']}/{meta['name']}"


def _value(workload: Object) -> str:
    annotations = workload["spec"]["template"].get("metadata", {}).get("annotations") or {}
    return str(annotations.get(RESTARTED, ""))


def _is_held(workload: Object) -> bool:
    spec = workload["spec"]
    strategy = spec.get("updateStrategy") or {}
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    return bool(spec.get("paused")) or strategy.get("type") == "OnDelete" or partition > 0


def _is_whole(workload: Object) -> bool:
    status = workload.get("status") or {}
    if workload["kind"] == "DaemonSet":
        return bool(status.get("numberReady", 0) >= status.get("desiredNumberScheduled", 0))
    return bool(status.get("readyReplicas", 0) >= workload["spec"].get("replicas", 1))


def _mark(workload: Object, value: str) -> None:
    patch = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: value}}}}}
    meta = workload["metadata"]
    words = ("patch", workload["kind"].lower(), meta["name"], "-n", meta["namespace"])
    patiently(lambda: kubectl(*words, "--type=merge", "-p", json.dumps(patch)))

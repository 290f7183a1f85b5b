"""Taking a node out of the cluster for good."""

from __future__ import annotations

from functools import partial

from ansible.module_utils.k8sbootstrap.kube.kubectl import kubectl, kubectl_json, patiently
from ansible.module_utils.k8sbootstrap.kube.pause import find


def delete(name: str) -> bool:
    """Delete a node, and then the pods that are still counted as running there.

    What runs them must have ended: a pod of a StatefulSet starts elsewhere as soon as it is deleted here.

    Returns:
        Whether there was such a node.

    Raises:
        KubectlError: The API server does not answer, or refuses it.
    """
    there = find(name) is not None
    patiently(lambda: kubectl("delete", "node", name, "--ignore-not-found", "--wait=false"))
    of_node = f"--field-selector=spec.nodeName={name}"
    for item in patiently(lambda: kubectl_json("get", "pods", "-A", of_node))["items"]:
        there = True
        pod = [item["metadata"]["name"], "-n", item["metadata"]["namespace"]]
        force = ["--ignore-not-found", "--force", "--grace-period=0", "--wait=false"]
        patiently(partial(kubectl, "delete", "pod", *pod, *force))
    return there

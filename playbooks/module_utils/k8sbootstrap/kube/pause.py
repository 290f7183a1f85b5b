"""Taking a node out of service for a while, or for good, and giving it back."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ansible.module_utils.k8sbootstrap.kube.drain import (
    DrainError,
    cordon,
    evict,
    node_object,
    uncordon,
    wait_for_leaders,
)
from ansible.module_utils.k8sbootstrap.kube.kubectl import Object, kubectl_json, patiently
from ansible.module_utils.k8sbootstrap.kube.objects import cordoned_for

_PAUSE = 0.5


def drain(name: str, reason: str, timeout: int, undone: str) -> bool:
    """Have a node's pods go to other nodes. One that can't be drained takes pods again.

    Args:
        name: The node.
        reason: What for: the command, and after a colon what it needs to know when it goes on. The node's
            annotation has it while pods are kept off it.
        timeout: Seconds that its pods have.
        undone: What is not done if they stay, for the error.

    Returns:
        Whether there is such a node.

    Raises:
        DrainError: Some pods stay; names them and what holds them.
        KubectlError: The API server does not answer.
    """
    node = find(name)
    if node is None:
        return False
    wait_for_leaders()
    held = cordoned_for(node)
    others = held is not None and _command(held) != _command(reason)  # it gives the node back itself
    ours = not others and cordon(node, reason)
    try:
        evict(name, timeout, bare_pods=False)
    except DrainError as error:
        if ours:
            uncordon(find(name) or node)
        again = "; it takes pods again" if ours else ""
        raise DrainError(f"{undone}{again}: {error}") from error
    return True


def resume(name: str, boot: str, commands: Sequence[str], timeout: int) -> bool:
    """Wait for a node to be Ready, and let pods on it again if one of these commands kept them off.

    Args:
        name: The node.
        boot: Id of the boot that its kubelet must report: until then Ready may be what it was before.
        commands: Whose cordons end.
        timeout: Seconds that it has to be Ready.

    Returns:
        Whether pods were let on it.

    Raises:
        DrainError: It is not Ready within the time. It stays as it is.
        KubectlError: The API server does not answer.
    """
    deadline = time.monotonic() + timeout
    while True:
        node = node_object(name)
        status = node.get("status", {})
        ready = {item["type"]: item for item in status.get("conditions", [])}.get("Ready", {})
        fresh = status.get("nodeInfo", {}).get("bootID") == boot
        if fresh and ready.get("status") == "True":
            break
        if time.monotonic() > deadline:
            said = ready.get("message") or "its kubelet has reported nothing"
            since = "" if fresh else " since the host booted"
            raise DrainError(f"it is not Ready{since} after {timeout} s: {said}")
        time.sleep(_PAUSE)
    return _command(cordoned_for(node) or "") in commands and uncordon(node)


def find(name: str) -> Object | None:
    """The node; None where the API has none of that name."""
    found = patiently(lambda: kubectl_json("get", "node", name, "--ignore-not-found"))
    return found if "metadata" in found else None


def _command(reason: str) -> str:
    return reason.partition(":")[0]

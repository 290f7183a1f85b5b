"""Takes a node out of service for an upgrade, and gives it back."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.k8sbootstrap.changes import Change, change
from ansible.module_utils.k8sbootstrap.kube.drain import (
    DrainError,
    cordon,
    evict,
    kubelet_version,
    node_object,
    require_api_servers,
    uncordon,
    wait_for_leaders,
    wait_until_ready,
)
from ansible.module_utils.k8sbootstrap.kube.kubectl import KubectlError
from ansible.module_utils.k8sbootstrap.kube.objects import CORDONED
from ansible.module_utils.k8sbootstrap.module import Module, one_line

DOCUMENTATION = """
module: kube_drain
short_description: Moves a node's pods elsewhere, or lets pods on it again
description:
  - Runs on a master. Only a node whose kubelet is of another release is drained, and only after every API
    server runs C(version). Pods go by eviction, so PodDisruptionBudgets hold; those of DaemonSets and static
    ones stay. A node that this module keeps pods off says so in its annotation k8sbootstrap.io/cordoned.
options:
  node: {description: Name of the node, type: str, required: true}
  version: {description: Kubernetes release that the node is to have, type: str, required: true}
  state: {description: What to do, type: str, choices: [drained, uncordoned], required: true}
  api_servers: {description: URLs of all API servers, type: list, elements: str, default: []}
  timeout: {description: Seconds that pods may take to go or the node to be Ready, type: int, default: 120}
  bare_pods: {description: Remove pods too that nothing would make again, type: bool, default: false}
"""


def _drain(parameters: dict[str, Any], check_mode: bool) -> list[Change]:
    name, version = parameters["node"], parameters["version"]
    node = node_object(name)
    if kubelet_version(node) == version:
        return []
    if not check_mode:
        require_api_servers(parameters["api_servers"], version)
        wait_for_leaders()
        ours = cordon(node, version)
        try:
            evict(name, parameters["timeout"], parameters["bare_pods"])
        except DrainError as error:
            if ours:
                uncordon(node_object(name))
            again = "; it takes pods again" if ours else ""
            raise DrainError(f"it was not upgraded{again}: {error}") from error
    return [change("node", "drain", name)]


def _give_back(parameters: dict[str, Any], check_mode: bool) -> list[Change]:
    name = parameters["node"]
    if check_mode:
        node = node_object(name)
        ours = CORDONED in node["metadata"].get("annotations", {}) or not node["spec"].get("unschedulable")
    else:
        ours = uncordon(wait_until_ready(name, parameters["version"], parameters["timeout"]))
    return [change("node", "uncordon", name)] if ours else []


@one_line
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "node": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["drained", "uncordoned"], "required": True},
            "api_servers": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 120},
            "bare_pods": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    do = _drain if module.params["state"] == "drained" else _give_back
    try:
        changes = do(module.params, module.check_mode)
    except (DrainError, KubectlError) as error:
        module.fail_json(msg="node {}: {}".format(module.params["node"], error))
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()

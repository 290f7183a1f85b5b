"""Labels and taints of nodes, and the podCIDRs that the cluster gave them."""

from __future__ import annotations

import json
import time

from ansible.module_utils.k8sbootstrap.changes import CONFIGURATION, DRIFT, NEW, Cause, change
from ansible.module_utils.k8sbootstrap.host.record import Record
from ansible.module_utils.k8sbootstrap.kube.kubectl import (
    KubectlError,
    Object,
    kubectl,
    kubectl_json,
    patiently,
)
from ansible.module_utils.k8sbootstrap.kube.objects import node_patch
from ansible.module_utils.k8sbootstrap.module import Module, one_line

DOCUMENTATION = """
module: kube_nodes
short_description: Waits for nodes, sets their labels and taints, returns their podCIDRs
description:
  - Runs on a master, once for all nodes. Only labels and taints that this module set before are removed
    again; it remembers them in the node's annotation k8sbootstrap.io/managed.
options:
  nodes:
    description: Node name to a dictionary with labels (dict) and taints (list of key, value, effect).
    type: dict
    default: {}
  timeout: {description: Seconds to wait for the nodes to register and get a podCIDR, type: int, default: 300}
  wait_for: {description: Nodes that must be there, type: list, elements: str, default: []}
  component: {description: Name in the host's record; without it nothing is recorded, type: str, default: ""}
  digest: {description: Of the inputs, for the host's record, type: str, default: ""}
"""


def _wait(names: list[str], timeout: int, check_mode: bool) -> dict[str, Object]:
    deadline = time.monotonic() + timeout
    while True:
        answer = (
            kubectl_json("get", "nodes") if check_mode else patiently(lambda: kubectl_json("get", "nodes"))
        )
        nodes = {item["metadata"]["name"]: item for item in answer["items"]}
        absent = [name for name in names if name not in nodes]
        without = [name for name in names if name in nodes and not nodes[name]["spec"].get("podCIDR")]
        if check_mode or (not absent and not without):
            return nodes
        if time.monotonic() > deadline:
            reasons = []
            if absent:
                reasons.append(
                    "not registered: {} (see journalctl -u kubelet on the host)".format(", ".join(absent))
                )
            if without:
                reasons.append(
                    "without podCIDR: {} (see journalctl -u kube-controller-manager on masters)".format(
                        ", ".join(without)
                    )
                )
            raise KubectlError(f"after {timeout} s nodes are still {'; '.join(reasons)}")
        time.sleep(0.5)


@one_line
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "nodes": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 300},
            "wait_for": {"type": "list", "elements": "str", "default": []},
            "component": {"type": "str", "default": ""},
            "digest": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    record = Record(module.check_mode)
    known = record.data["nodes"]
    changes = []
    nodes: dict[str, Object] = {}
    try:
        nodes = _wait(module.params["wait_for"], module.params["timeout"], module.check_mode)
        for name, wanted in sorted(module.params["nodes"].items()):
            patch = node_patch(nodes[name], wanted) if name in nodes else None
            if patch:
                cause: Cause = DRIFT if known.get(name) == wanted else CONFIGURATION if name in known else NEW
                changes.append(change("node", "set", name, cause))
                if not module.check_mode:
                    kubectl("patch", "node", name, "--type=merge", "-p", json.dumps(patch))
    except KubectlError as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
        changes = [
            change("node", "set", name, NEW) for name in sorted(module.params["nodes"]) if name not in known
        ]
    pod_cidrs = {name: node["spec"].get("podCIDR", "") for name, node in nodes.items()}
    if module.params["component"]:
        record.data["nodes"] = module.params["nodes"]
        record.component(module.params["component"])["digest"] = module.params["digest"]
        record.save()
    module.exit_json(changed=bool(changes), changes=changes, pod_cidrs=pod_cidrs)


if __name__ == "__main__":
    main()

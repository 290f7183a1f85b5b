"""Labels and taints of nodes, and the podCIDRs that the cluster gave them."""

from __future__ import annotations

import json
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.k8sbootstrap_kubectl import KubectlError, kubectl, kubectl_json

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
    required: true
  timeout: {description: Seconds to wait for the nodes to register and get a podCIDR, type: int, default: 60}
  wait_for: {description: Nodes that must be there, type: list, elements: str, default: []}
"""

_ANNOTATION = "k8sbootstrap.io/managed"


def _wait(names: list, timeout: int) -> dict:
    deadline = time.monotonic() + timeout
    while True:
        nodes = {item["metadata"]["name"]: item for item in kubectl_json("get", "nodes")["items"]}
        absent = [name for name in names if name not in nodes]
        without = [name for name in names if name in nodes and not nodes[name]["spec"].get("podCIDR")]
        if not absent and not without:
            return nodes
        if time.monotonic() > deadline:
            reasons = []
            if absent:
                reasons.append(
                    "not registered: {} (see journalctl -u kubelet there)".format(", ".join(absent))
                )
            if without:
                reasons.append(
                    "without podCIDR: {} (see journalctl -u kube-controller-manager)".format(
                        ", ".join(without)
                    )
                )
            raise KubectlError(f"after {timeout} s nodes are still {'; '.join(reasons)}")
        time.sleep(0.5)


def _patch(node: dict, wanted: dict) -> dict:
    """The merge patch that brings one node to what is wanted; empty when nothing differs."""
    labels = wanted.get("labels") or {}
    taints = [{key: value for key, value in taint.items() if value} for taint in wanted.get("taints") or []]
    managed = json.loads(
        node["metadata"].get("annotations", {}).get(_ANNOTATION, '{"labels": [], "taints": []}')
    )
    now = node["metadata"].get("labels", {})
    new_labels = {key: value for key, value in labels.items() if now.get(key) != value}
    new_labels.update({key: None for key in managed["labels"] if key not in labels and key in now})
    ids = ["{}:{}".format(taint["key"], taint["effect"]) for taint in taints]
    current = node["spec"].get("taints") or []
    others = [t for t in current if "{}:{}".format(t["key"], t["effect"]) not in {*ids, *managed["taints"]}]
    ours = [t for t in current if t not in others]
    memory = json.dumps({"labels": sorted(labels), "taints": sorted(ids)})
    patch = {}
    if new_labels:
        patch.setdefault("metadata", {})["labels"] = new_labels
    if sorted(map(json.dumps, [dict(sorted(t.items())) for t in ours])) != sorted(
        map(json.dumps, [dict(sorted(t.items())) for t in taints])
    ):
        patch["spec"] = {"taints": others + taints}
    if node["metadata"].get("annotations", {}).get(_ANNOTATION) != memory:
        patch.setdefault("metadata", {})["annotations"] = {_ANNOTATION: memory}
    return patch


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "nodes": {"type": "dict", "required": True},
            "timeout": {"type": "int", "default": 60},
            "wait_for": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    changed = []
    nodes: dict = {}
    try:
        nodes = _wait(module.params["wait_for"], 0 if module.check_mode else module.params["timeout"])
        for name, wanted in sorted(module.params["nodes"].items()):
            if name not in nodes:
                continue
            patch = _patch(nodes[name], wanted)
            if patch:
                changed.append(name)
                if not module.check_mode:
                    kubectl("patch", "node", name, "--type=merge", "-p", json.dumps(patch))
    except KubectlError as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(changed),
        changes=[f"node {name} labels or taints set" for name in changed],
        pod_cidrs={name: node["spec"].get("podCIDR", "") for name, node in nodes.items()},
    )


if __name__ == "__main__":
    main()

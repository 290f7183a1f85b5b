"""An API server with nodes, in the place of kubectl."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ansible.module_utils.k8sbootstrap.kube import drain, pause
from ansible.module_utils.k8sbootstrap.kube.kubectl import KubectlError

if TYPE_CHECKING:
    from types import ModuleType

    import pytest


class Api:
    """Answers kubectl, and keeps what was asked."""

    def __init__(self, *nodes: str, pods: tuple[str, ...] = ()) -> None:
        self.nodes: dict[str, dict[str, Any]] = {
            name: {"metadata": {"name": name, "annotations": {}}, "spec": {}} for name in nodes
        }
        self.pods = pods
        self.held = ""
        self.asked: list[str] = []

    def kubectl(self, *words: str) -> str:
        self.asked.append(" ".join(words))
        if words[:2] == ("patch", "node"):
            patch = json.loads(words[-1])
            node = self.nodes[words[2]]
            node["metadata"]["annotations"].update(patch["metadata"]["annotations"])
            node["spec"].update(patch["spec"])
        if words[0] == "drain" and self.held:
            raise KubectlError(self.held)
        return ""

    def kubectl_json(self, *words: str) -> dict[str, Any]:
        if words[:2] == ("get", "node"):
            return self.nodes.get(words[2], {"items": []})
        if words[:2] == ("get", "pods"):
            return {"items": [{"metadata": {"namespace": "kube-system", "name": name}} for name in self.pods]}
        return {"items": []}

    @classmethod
    def used_by(cls, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> Api:
        """One with the nodes w1 and w2 that these modules, and draining, talk to."""
        made = cls("w1", "w2")
        for module in (drain, pause, *modules):
            monkeypatch.setattr(module, "kubectl", made.kubectl, raising=False)
            monkeypatch.setattr(module, "kubectl_json", made.kubectl_json)
        monkeypatch.setattr(drain.time, "sleep", lambda _: None)  # also of the others: it is one module
        monkeypatch.setattr(drain, "left_pods", lambda _: [])
        return made

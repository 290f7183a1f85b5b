"""A cluster whose hosts answer from a script."""

import json
from dataclasses import asdict

from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.answers import RunAnswer
from tests.unit.hosts.sessions import ScriptedSession

from .healthy import answer_of, node_of


class Cluster:
    """Hosts that answer health requests well, and an API that lists nodes and takes what it is given."""

    def __init__(self, plan, *, dead=(), interrupt_on="", node=node_of):
        self.node = node
        self.plan, self.dead, self.interrupt_on = plan, dead, interrupt_on
        self.kubectl: list[str] = []

    def connect(self, target):
        if target.host in self.dead:
            raise HostError(f"{target.host} ({target.address}): no route")
        return ScriptedSession(target, self.reply)

    def reply(self, host, command, _stdin):
        if "sys.argv" in command:
            answer = answer_of(self.plan, next(item for item in self.plan.hosts if item.name == host))
            return RunAnswer(0, json.dumps(asdict(answer)), "")
        self.kubectl.append(command)
        if self.interrupt_on and self.interrupt_on in command:
            raise KeyboardInterrupt
        if "get nodes" in command:
            items = [self.node(self.plan, item) for item in self.plan.nodes]
            return RunAnswer(0, json.dumps({"items": items}), "")
        if "get namespaces" in command:
            return RunAnswer(0, '{"items": []}', "")
        if "kubectl apply" in command:
            spec = {"clusterIP": "10.96.7.7", "ports": [{"nodePort": 31234}]}
            return RunAnswer(
                0,
                json.dumps({"items": [{"kind": "Service", "metadata": {"name": "probe"}, "spec": spec}]}),
                "",
            )
        if "delete namespace" in command:
            return RunAnswer(0, "", "")
        return RunAnswer(1, "", "Error from server (Forbidden): not in this test")

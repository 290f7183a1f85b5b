"""Answers for the module ``kube_nodes``: every node has a podCIDR."""

from ansible.plugins.action import ActionBase
from recording import note


class ActionModule(ActionBase):
    """Writes its arguments down, and the host that it is delegated to."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        nodes = (
            [] if self._task.check_mode else task_vars["groups"]["nodes"]
        )  # a bare host has no cluster yet
        pod_cidrs = {name: f"10.244.{number}.0/24" for number, name in enumerate(nodes)}
        arguments = {**self._task.args, "asked on": self._task.delegate_to}
        return note(task_vars, "kube_nodes", arguments, {"pod_cidrs": pod_cidrs})

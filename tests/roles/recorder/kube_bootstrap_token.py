"""Answers for the module ``kube_bootstrap_token``."""

from ansible.plugins.action import ActionBase
from recording import note


class ActionModule(ActionBase):
    """Writes its arguments down."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        return note(task_vars, "kube_bootstrap_token", self._task.args, {"token": "abcdef.0123456789abcdef"})

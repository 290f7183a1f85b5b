"""Answers for the module ``kube_addons``."""

from ansible.plugins.action import ActionBase
from recording import note


class ActionModule(ActionBase):
    """Writes its arguments down."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        return note(task_vars, "kube_addons", self._task.args, {})

"""Answers for the module ``host_packages``."""

from ansible.plugins.action import ActionBase
from recording import note


class ActionModule(ActionBase):
    """Writes its arguments down."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        return note(task_vars, "host_packages", self._task.args, {})

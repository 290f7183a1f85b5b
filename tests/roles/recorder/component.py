"""The project's own ``component`` action, but nothing is sent: the finished request is written down."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from recording import note

_SOURCE = Path(__file__).resolve().parents[3] / "playbooks" / "action_plugins" / "component.py"
_SPEC = spec_from_file_location("component_action", _SOURCE)
_REAL = module_from_spec(_SPEC)
_SPEC.loader.exec_module(_REAL)


class ActionModule(_REAL.ActionModule):
    """Renders like the real one; every unit that may restart answers that it has to."""

    TRANSFERS_FILES = False

    def _file(self, item, restarts, task_vars):
        made = super()._file(item, restarts, task_vars)
        return dict(made, template=item.get("template"), src=item.get("src"))

    def _call(self, request, uploads, task_vars):  # noqa: ARG002
        pending = [unit["name"] for unit in request["units"] if unit["rolling"] and not request["restart"]]
        return note(task_vars, "component", request, {"pending_restarts": pending, "inputs": {}})

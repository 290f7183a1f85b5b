"""The project's own ``etcd_verdict`` action, which asks no host."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_SOURCE = Path(__file__).resolve().parents[3] / "playbooks" / "action_plugins" / "etcd_verdict.py"
_SPEC = spec_from_file_location("etcd_verdict_action", _SOURCE)
_REAL = module_from_spec(_SPEC)
_SPEC.loader.exec_module(_REAL)
ActionModule = _REAL.ActionModule

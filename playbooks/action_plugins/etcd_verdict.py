"""``etcd_verdict``: whether etcd may be started as planned, from what ``etcd_look`` reported on all hosts.

Runs on the controller, once for the play; nothing is sent. Fails where etcd must not be touched.

Options:
    members (dict): The planned members, name → address.
    cluster (str): Name of the cluster.
    looks (list): What was registered from ``etcd_look``, on every host of the play that it ran on.
    silent (list): Masters that were not asked.
    restoring (str): Id of a restore that brings the members' data; it decides where it has begun.

Returns ``begin``: member → state (new, existing) that it may start in without data. ``join``: those of them
that are to be added to the cluster.
"""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from ansible.plugins.action import ActionBase

_PATH = Path(__file__).parents[1] / "module_utils" / "k8sbootstrap" / "kube" / "etcd_rules.py"
_SPEC = spec_from_file_location("etcd_rules", _PATH)
_RULES = module_from_spec(_SPEC)
_SPEC.loader.exec_module(_RULES)


class ActionModule(ActionBase):
    """Judges."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        """Standard entry point of an action plugin."""
        result = super().run(tmp, task_vars)
        args = self._task.args
        reports = {look["name"]: look["report"] for look in args["looks"] if "report" in look}
        must_answer = list(dict.fromkeys([*args["members"], *args["silent"]]))
        verdict = _RULES.judge(
            args["members"],
            args["cluster"],
            reports,
            must_answer,
            "the inventory",
            restoring=args.get("restoring") or "",
        )
        if verdict["problems"]:
            said = [f"{problem['text']}. {problem['hint']}" for problem in verdict["problems"]]
            return dict(result, failed=True, msg="\n".join([*said, "etcd was not touched."]))
        return dict(result, changed=False, begin=verdict["begin"], join=verdict["join"])

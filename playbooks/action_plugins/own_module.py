"""Calls one of the project's own modules, and keeps of its answer only what that module is meant to return.

Ansible believes what a module returns: ``ansible_facts`` in it become variables, which win over those of the
inventory. But it is the host that decides what is returned. So each module of the project has an action of
the same name here, and whatever else is in the answer is dropped before Ansible sees it.
"""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import get_args

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

TEXT = 1 << 20
"""Characters that are kept of a text."""
ITEMS = 10_000
"""Items that a list may have."""

_NAME = re.compile(r"[\w.-]{1,253}")
_UNIT = re.compile(r"[\w.@:-]{1,255}")
_MAKE_FOLDER = "mktemp -d /var/tmp/k8sbootstrap-tmp-XXXXXXXXXXXXXXXX"
_FOLDER = re.compile(r"/var/tmp/k8sbootstrap-tmp-[A-Za-z0-9]{16}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CIDR = re.compile(r"[0-9a-fA-F.:]{2,45}/[0-9]{1,3}")
# what names programs and options of the controller; real facts have no such names
_CONNECTION = re.compile(r"(\w+_)?(executable|exe|control_path|control_path_dir|args|flags)")
_INTERPRETER = re.compile(r"/[\w./-]{1,255}")
_ID = re.compile(r"[0-9a-f]{1,16}")
_ADDRESS = re.compile(r"[\w.:\[\]-]{1,253}")
_PATH = Path(__file__).parents[1] / "module_utils" / "k8sbootstrap" / "changes.py"
_SPEC = spec_from_file_location("changes", _PATH)
_WORDS = module_from_spec(_SPEC)
_SPEC.loader.exec_module(_WORDS)
_DIFF = ("name", "before", "after", "before_header", "after_header", "prepared")


def _text(value):
    if not isinstance(value, str):
        raise TypeError
    return str(value)[:TEXT]


def _flag(value):
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value):
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return int(value)


def _list(of):
    def check(value):
        if not isinstance(value, list) or len(value) > ITEMS:
            raise TypeError
        return [of(item) for item in value]

    return check


def _mapping(of_key, of_value):
    def check(value):
        if not isinstance(value, dict) or len(value) > ITEMS:
            raise TypeError
        return {of_key(key): of_value(item) for key, item in value.items()}

    return check


def _like(pattern, *, empty=False):
    def check(value):
        if not isinstance(value, str) or not (pattern.fullmatch(value) or (empty and not value)):
            raise TypeError
        return str(value)

    return check


def _change(value):
    if isinstance(value, str):
        return _text(value)
    if not isinstance(value, dict):
        raise TypeError
    return {key: check(value[key]) for key, check in _CHANGE.items() if key in value}


def _word(of):
    def check(value):
        if value not in get_args(of):
            raise TypeError
        return str(value)

    return check


_CHANGE = {
    "text": _text,
    "kind": _word(_WORDS.Kind),
    "action": _word(_WORDS.Action),
    "name": _text,
    "causes": _list(_word(_WORDS.Cause)),
    "why": _list(_text),
}


def _diff(value):
    if not isinstance(value, dict):
        raise TypeError
    return {key: _text(value[key]) for key in _DIFF if key in value}


def _fields(**checks):
    def check(value):
        if not isinstance(value, dict):
            raise TypeError
        return {name: of(value.get(name)) for name, of in checks.items()}

    return check


def _or_none(of):
    return lambda value: None if value is None else of(value)


_MEMBER = _fields(id=_like(_ID), name=_like(_NAME, empty=True), urls=_list(_text), started=_flag)
_ETCD = _fields(
    cluster=_like(_NAME, empty=True),
    data=_flag,
    changed=_number,
    members=_mapping(_like(_NAME), _like(_ADDRESS)),
    formed=_flag,
    api=_list(_like(_ADDRESS)),
    joined=_flag,
    restoring=_like(_NAME, empty=True),
    living=_or_none(_fields(cluster=_like(_ID), members=_list(_MEMBER), revision=_number, objects=_number)),
)


COMMON = {
    "changed": _flag,
    "failed": _flag,
    "skipped": _flag,
    "msg": _text,
    "changes": _list(_change),
    "rc": _number,
    "module_stdout": _text,
    "module_stderr": _text,
}
"""What any module may return, with what makes sure of its form."""
ANSWERS = {
    "component": {
        "diff": _list(_diff),
        "missing": _list(_text),
        "pending_restarts": _list(_like(_UNIT)),
        "file_waits": _flag,
        "inputs": _mapping(_like(_UNIT), _list(_text)),
    },
    "etcd_look": {"report": _ETCD},
    "host_packages": {"missing": _fields(system=_text, files=_list(_text))},
    "kubelet_identity": {"exists": _flag, "registered": _flag},
    "kube_nodes": {"pod_cidrs": _mapping(_like(_NAME), _like(_CIDR, empty=True))},
}
"""What else a module returns; the keys are the modules' names."""


class ActionModule(ActionBase):
    """The action of modules that have nothing to prepare on the controller."""

    def run(self, tmp=None, task_vars=None):
        """Standard entry point of an action plugin."""
        result = super().run(tmp, task_vars)
        name = self._task.action.rpartition(".")[2]
        result.update(self.answer(name, dict(self._task.args), task_vars or {}))
        return result

    def answer(self, name, arguments, task_vars):
        """Run the module and return what may be kept of its answer.

        Raises:
            AnsibleActionFail: The answer has a form that the module never gives, or facts of the host have
                taken the place of variables.
        """
        self.refuse_facts(task_vars)
        said = self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars)
        found = {}
        for key, check in {**COMMON, **ANSWERS.get(name, {})}.items():
            if said.get(key) is None:
                continue
            try:
                found[key] = check(said[key])
            except TypeError:
                raise AnsibleActionFail(
                    f"the host sent an answer that the module {name} never sends ({key}). Check that "
                    "it is the right host, and that nobody changed its Python"
                ) from None
        if said.get("_ansible_parsed") is False:  # what came was no answer at all
            found["failed"] = True
        found.update(self._interpreter())
        return found

    def _interpreter(self):
        """The Python that Ansible found, where the inventory names none; only the host itself runs it."""
        key, path = self._discovered_interpreter_key, self._discovered_interpreter
        if not key or not _INTERPRETER.fullmatch(str(path)):
            return {}
        return {"ansible_facts": {key: str(path)}}

    def _make_tmp_path(self, remote_user=None):  # noqa: ARG002 - Ansible calls it so
        """Make a folder on the host for files that are sent there, with a new name that reset knows as ours.

        Nobody but the login user can look into it. It is on a disk: /tmp may be memory.
        """
        done = self._low_level_execute_command(_MAKE_FOLDER, sudoable=False)
        path = done["stdout"].strip().rpartition("\n")[2]
        if done["rc"] != 0 or not _FOLDER.fullmatch(path):
            said = done["stderr"].strip() or done["stdout"].strip()
            raise AnsibleActionFail(
                f"no directory for files could be created in /var/tmp of the host: {said[:500]}"
            )
        self._connection._shell.tmpdir = path  # noqa: SLF001
        self._cleanup_remote_tmp = True
        return path

    def refuse_facts(self, task_vars):
        """Stop where a fact, which is a host's word, has the name of a variable that roles go by."""
        roles = self._roles()
        taken = sorted(
            str(name)
            for name in task_vars.get("ansible_facts") or {}
            if str(name).lstrip("_").startswith(roles) or _CONNECTION.fullmatch(str(name))
        )
        if taken:
            raise AnsibleActionFail(
                f"the host sent facts that would replace variables of the inventory: {taken[:5]}. "
                "Check that nobody changed its Python, and set inject_facts_as_vars = False in "
                "ansible.cfg"
            )

    def _roles(self):
        role = self._task._role  # noqa: SLF001
        return (f"{role.get_name()}_", "k8sbootstrap_") if role else ("k8sbootstrap_",)

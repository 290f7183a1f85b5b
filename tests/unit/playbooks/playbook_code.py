"""Imports the code that Ansible sends to hosts, as Ansible would."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import ansible.module_utils

PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"
ansible.module_utils.__path__.append(str(PLAYBOOKS / "module_utils"))


def load(kind: str, name: str) -> ModuleType:
    """A module (library) or plugin of the project, by file name."""
    spec = importlib.util.spec_from_file_location(f"playbooks_{kind}_{name}", PLAYBOOKS / kind / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module

"""Where the playbooks, roles and inventory templates are: in the wheel, or in the repository."""

import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

_PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """The folder that holds ``playbooks/``, ``roles/`` and ``inventory/``.

    Returns:
        ``k8sbootstrap/_data`` in a standard install, the repository's top in an editable one.
    """
    packed = _PACKAGE / "_data"
    return packed if packed.is_dir() else _PACKAGE.parent


def host_code_dir() -> Path:
    """The package that Ansible sends to hosts, where it is ``ansible.module_utils.k8sbootstrap``."""
    return data_dir() / "playbooks" / "module_utils" / "k8sbootstrap"


@cache
def shared_rules(name: str) -> ModuleType:
    """Rules that commands here and modules on hosts judge by alike.

    Args:
        name: Of a module in ``playbooks/module_utils/k8sbootstrap`` that imports no other one, as in
            ``kube.etcd_rules``.

    Raises:
        FileNotFoundError: There is no such module.
    """
    path = host_code_dir().joinpath(*name.split(".")).with_suffix(".py")
    spec = spec_from_file_location(f"k8sbootstrap_on_hosts.{name}", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module

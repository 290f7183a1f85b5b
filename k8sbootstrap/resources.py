"""Where the playbooks, roles and inventory templates are: in the wheel, or in the repository."""

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


@cache
def shared_rules(name: str) -> ModuleType:
    """Rules that commands here and modules on hosts judge by alike.

    Args:
        name: Of a file in ``playbooks/module_utils`` that imports nothing of Ansible, without its suffix.
    """
    spec = spec_from_file_location(name, data_dir() / "playbooks" / "module_utils" / f"{name}.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(name)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""Where the playbooks, roles and inventory templates are: in the wheel, or in the repository."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """The folder that holds ``playbooks/``, ``roles/`` and ``inventory/``.

    Returns:
        ``k8sbootstrap/_data`` in a standard install, the repository's top in an editable one.
    """
    packed = _PACKAGE / "_data"
    return packed if packed.is_dir() else _PACKAGE.parent

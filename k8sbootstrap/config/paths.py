"""How paths in a cluster file are meant."""

import os.path
from pathlib import Path


def local_path(path: Path, base: Path) -> Path:
    """Where a path of a cluster file leads on this machine.

    Args:
        path: As written; ``~`` and ``~user`` are expanded, where there is such a user.
        base: The folder of the cluster file, absolute.

    Returns:
        An absolute path.
    """
    return base / os.path.expanduser(path)  # noqa: PTH111 - Path's own raises for users that do not exist

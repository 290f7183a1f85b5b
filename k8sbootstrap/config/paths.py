"""Resolves paths in a cluster file."""

import os.path
from pathlib import Path


def local_path(path: Path, base: Path) -> Path:
    """The absolute path on this machine for a path in a cluster file.

    Args:
        path: As written; ``~`` and ``~user`` are expanded, where there is such a user.
        base: The folder of the cluster file, absolute.

    Returns:
        An absolute path.
    """
    return base / os.path.expanduser(path)  # noqa: PTH111 - Path's own raises for users that do not exist

"""Which releases, runtimes and hosts test_releases.py and test_minors.py try: what the environment says.

- K8SBOOTSTRAP_E2E_VERSIONS: releases, as in 1.36.4,1.37.2.
- K8SBOOTSTRAP_E2E_RUNTIMES: of containerd, docker and upstream: containerd and runc of their own projects.
- K8SBOOTSTRAP_E2E_OS: debian12, debian13 or both, separated by a comma.
- K8SBOOTSTRAP_E2E_ARTIFACTS: artifact directories (NAME/VERSION/ARCH/FILE), separated by colons. Programs
  that are in none of them are downloaded or built, as every lab does.

Where it says nothing, clusters.py does.
"""

from __future__ import annotations

import os
from pathlib import Path

ARCH = "amd64"


def named(variable: str, default: str = "", separator: str = ",") -> list[str]:
    """The words of an environment variable, or of a default."""
    value = os.environ.get(f"K8SBOOTSTRAP_E2E_{variable}", default)
    return [word.strip() for word in value.split(separator) if word.strip()]


FOLDERS = [Path(name).resolve() for name in named("ARTIFACTS", separator=":")]
ARTIFACTS = [word for folder in FOLDERS for word in ("--artifacts", str(folder))]

"""SELinux, where it is on: files get the labels that the host's policy has, programs their booleans."""

from __future__ import annotations

import os
import subprocess

_FILESYSTEM = "/sys/fs/selinux"


class SELinuxError(Exception):
    """A boolean could not be set; the text has the command's own words."""


def is_enabled() -> bool:
    """Whether SELinux is on, enforcing or not."""
    return os.path.exists(f"{_FILESYSTEM}/enforce")


def relabel(paths: list[str]) -> None:
    """Give files and directories the labels that the policy has for their paths.

    Raises:
        subprocess.CalledProcessError: restorecon failed.
    """
    if paths and is_enabled():
        subprocess.run(["restorecon", "-i", *paths], check=True, capture_output=True, text=True)


def boolean(name: str) -> str:
    """Value of a boolean, 0 or 1; empty where SELinux is off or its policy has none of that name."""
    try:
        with open(f"{_FILESYSTEM}/booleans/{name}", encoding="ascii") as handle:
            return handle.read().split()[0]
    except OSError:
        return ""


def set_boolean(name: str, value: str) -> None:
    """Set a boolean for good.

    Raises:
        SELinuxError: It did not work.
    """
    done = subprocess.run(["setsebool", "-P", name, value], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise SELinuxError(f"setsebool -P {name} {value} failed: {(done.stderr or done.stdout).strip()}")

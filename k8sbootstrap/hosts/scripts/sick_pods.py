"""Runs on a master, never on the controller: prints the pods that are not well, of all that a command lists.

A large cluster has more pods than are worth sending. Its arguments are the command, which prints a list as
JSON. Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

MOST = 500


def is_well(pod: dict[str, Any]) -> bool:
    """Whether it has ended well, or runs with all containers ready."""
    status = pod.get("status", {})
    if status.get("phase") == "Succeeded":
        return True
    ready = [each.get("ready") for each in status.get("containerStatuses") or ()]
    return status.get("phase") == "Running" and all(ready)


def main(command: list[str]) -> int:
    """Run the command and print what is left of its list.

    Args:
        command: The program and its arguments.

    Returns:
        The exit code: that of the command.
    """
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE)
    if done.returncode == 0:
        pods = [pod for pod in json.loads(done.stdout)["items"] if not is_well(pod)]
        json.dump({"items": pods[:MOST]}, sys.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

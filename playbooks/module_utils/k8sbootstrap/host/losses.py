"""What a unit has set in the kernel and somebody took off since: routes and packet rules."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from ansible.module_utils.k8sbootstrap.changes import DRIFT, Change, change

_SECONDS = 30
_MANY = 1000
_LONGEST = 200


def losses(command: Sequence[str]) -> list[Change]:
    """What is missing, as its unit's own program says.

    Args:
        command: It prints one thing a line: ``route CIDR``, or ``rule TABLE CHAIN RULE``. Nothing is missing
            where it is empty, fails or takes too long: then its unit's state tells more.
    """
    if not command:
        return []
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = []
    for line in done.stdout.splitlines()[:_MANY] if done.returncode == 0 else ():
        kind, _, name = line[:_LONGEST].partition(" ")
        if kind == "route":
            found.append(change("route", "add", name, DRIFT))
        elif kind == "rule":
            found.append(change("rule", "add", name, DRIFT))
    return found

"""A flag that lists the servers of a program: it runs on with an older list that has enough of them."""

from __future__ import annotations

import re
import subprocess


def runs_on(unit: str, flag: str, path: str, content: bytes) -> bool:
    """Whether a unit need not restart for a new list of servers.

    Nothing else of the unit may change, and its program must have at least half of the servers: each majority
    of them then has one that it uses, so it works as long as they do.

    Args:
        unit: Name of the unit.
        flag: Its flag with the list, without ``--``; the values have commas between them.
        path: The unit's file as it is.
        content: What it is to hold.
    """
    pattern = re.compile(rf"--{re.escape(flag)}=(\S*)")
    text = content.decode("utf-8", "replace")
    try:
        with open(path, encoding="utf-8") as handle:
            before = handle.read()
    except (OSError, ValueError):
        return False
    found = pattern.search(text)
    if found is None or pattern.sub("", before) != pattern.sub("", text):
        return False
    wanted = set(found.group(1).split(","))
    return 2 * len(wanted & _used(unit, flag)) >= len(wanted)


def _used(unit: str, flag: str) -> set[str]:
    """The servers that the unit's program was started with; none where it does not run."""
    show = ["systemctl", "show", "--property=MainPID", "--value", unit]
    pid = subprocess.run(show, check=False, capture_output=True, text=True).stdout.strip()
    try:
        with open(f"/proc/{int(pid)}/cmdline", encoding="utf-8", errors="replace") as handle:
            words = handle.read().split("\0")
    except (OSError, ValueError):
        return set()
    start = f"--{flag}="
    return {value for word in words if word.startswith(start) for value in word[len(start) :].split(",")}

"""Runs on a host: keeps the lease of the one command that may change the cluster now.

It is sent over SSH with a JSON document as its one argument: ``{"do": "take", "renew" or "release", "token",
"instead", "holder", "seconds"}``. ``instead`` lists tokens of leases whose holders are known to be gone. It
prints ``{"holder", "token", "left"}``: who else holds the lease, and for how many seconds; empty texts and 0
where nobody does. The clock is the kernel's own, which nobody sets, and a boot ends all leases, as it ends
whatever was running. Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

PATH = Path("/run/k8sbootstrap.lease")
LONGEST = 10_000


def read(descriptor: int) -> dict[str, Any]:
    """The lease that is there; nothing where it can't be read."""
    with suppress(ValueError):
        held = json.loads(os.pread(descriptor, LONGEST, 0))
        if isinstance(held, dict) and held.get("token") and isinstance(held.get("until"), float):
            return held
    return {}


def locked() -> int:
    """The open file of the lease, which no other process of this program reads or changes meanwhile."""
    while True:
        descriptor = os.open(PATH, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):  # a lease that was given back took the file with it
            if PATH.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        os.close(descriptor)


def main() -> None:
    """Do what is asked, and print who else holds the lease."""
    request = json.loads(sys.argv[1])
    descriptor = locked()
    held, now = read(descriptor), time.monotonic()
    ours = {request["token"], *request["instead"]}
    if held and held["token"] not in ours and now < held["until"]:
        left = held["until"] - now
        answer = {"holder": held.get("holder", ""), "token": held["token"], "left": left}
    else:
        lease = {"token": request["token"], "holder": request["holder"], "until": now + request["seconds"]}
        if request["do"] == "release":
            PATH.unlink()
        else:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(lease).encode(), 0)
        answer = {"holder": "", "token": "", "left": 0.0}
    sys.stdout.write(json.dumps(answer))


main()

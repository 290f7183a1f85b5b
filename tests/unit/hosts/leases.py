"""Hosts for tests of leases: each keeps its lease in a folder of this machine, by the real program."""

import json
from pathlib import Path
from typing import Any

from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import SSHTarget
from tests.unit.hosts.sessions import LocalSession, unreachable

_PATH = b"/run/k8sbootstrap.lease"


def leasing_pool(folder: Path, *down: str) -> Pool:
    """Connections to hosts that answer what is asked about their lease, and nothing else.

    Args:
        folder: Has the file NAME.lease of each host.
        down: Hosts that can't be reached.
    """

    class Session(LocalSession):
        def run(self, command: str, *, stdin: bytes = b"", **options: Any) -> RunAnswer:
            if _PATH not in stdin:
                raise AssertionError(f"{self.target.host} was asked something else")
            own = str(folder / f"{self.target.host}.lease").encode()
            return super().run(command, stdin=stdin.replace(_PATH, own), **options)

    def connect(target: SSHTarget) -> LocalSession:
        return unreachable(target) if target.host in down else Session(target)

    return Pool(connect)


def holder(folder: Path, host: str) -> str:
    """Who holds the lease of a host."""
    return str(json.loads((folder / f"{host}.lease").read_text())["holder"])

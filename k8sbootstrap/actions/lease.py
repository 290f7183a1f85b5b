"""One operator at a time: the lease of masters and etcd hosts that a command holds while it changes them.

The lock in the state directory keeps two commands of one folder apart. This keeps apart those of different
folders and machines. A lease that nobody renews ends by itself, so a machine that is lost blocks nobody for
long. A command that was killed on this machine blocks nobody at all.
"""

import json
import os
import secrets
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from k8sbootstrap.errors import K8sBootstrapError, LockedError
from k8sbootstrap.formats.text import duration
from k8sbootstrap.hosts import ask as asking
from k8sbootstrap.hosts.ask import Question, Session, shown
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import SSHTarget
from k8sbootstrap.run.lock import Holder

SECONDS = 60.0
"""That a lease lasts without being renewed."""
RENEW = 15.0
"""Seconds between two renewals."""
_TIMEOUT = 20.0
_Text = Annotated[str, Field(max_length=500)]


@dataclass(frozen=True)
class _Other:
    """Who else holds the lease of a host; empty where nobody does."""

    holder: _Text
    token: Annotated[str, Field(max_length=200)]
    left: Annotated[float, Field(ge=0, le=1e6)]
    """Seconds until it ends, if nobody renews it."""


_OTHER = TypeAdapter(_Other)


@contextmanager
def leased(pool: Pool, hosts: Sequence[SSHTarget], command: str) -> Iterator[None]:
    """Hold the leases of hosts for the ``with`` block, of all that answer at its beginning.

    Args:
        pool: Connections to the hosts.
        hosts: Those that every command that changes the cluster asks, in the same order.
        command: What the holder runs, for others to read, such as ``k8sbootstrap up``.

    Raises:
        LockedError: Another command holds one, or took one over meanwhile and stopped this one by it.
    """
    lease = _Lease(pool, command)
    try:
        lease.take(hosts)
        yield
    finally:
        lease.give_back()


class _Lease:
    """What one command holds on all hosts."""

    def __init__(self, pool: Pool, command: str) -> None:
        self._pool = pool
        self._holder = str(Holder.this_process(command))
        self._token = f"{_place()}:{os.getpid()}:{secrets.token_hex(8)}"
        self._instead: list[str] = []
        self._held: list[SSHTarget] = []
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew, daemon=True)
        self._lost = ""

    def take(self, hosts: Sequence[SSHTarget]) -> None:
        """Take the leases of all hosts that answer, and renew them from now on.

        Raises:
            LockedError: Another command has one.
        """
        opened = self._pool.on_all(hosts, lambda *_: None)
        answering = [host for host in hosts if opened[host.host] is None]
        for number, host in enumerate(answering):
            # the first that answers is asked alone: of two commands that begin at once one gets it
            if any(isinstance(found, _Other) for found in self._take_all([host])):
                self._take_all(answering[number + 1 :])
                self._renewer.start()
                return

    def give_back(self) -> None:
        """Give all leases back.

        Raises:
            LockedError: Another command took one over, and stopped this one by it.
        """
        self._ended.set()
        if self._renewer.is_alive():
            self._renewer.join()
        self._ask_all("release")
        if self._lost:
            raise LockedError(
                self._lost,
                hint="When the other command has ended, run this one again: it continues from there.",
            )

    def _take_all(self, hosts: Sequence[SSHTarget]) -> Sequence[_Other | K8sBootstrapError]:
        """Take the leases of hosts at once; those that don't answer are looked at by others.

        Raises:
            LockedError: Another command has one.
        """
        by_name = {host.host: host for host in hosts}
        answers = self._pool.on_all(hosts, lambda host, _session: self._take_one(by_name[host]))
        for host, other in answers.items():
            if isinstance(other, _Other) and other.token:
                raise LockedError(
                    f"{host}: another command is changing this cluster: {shown(other.holder, 300)}",
                    hint="Wait until it has ended. If its machine was lost, its lease ends in "
                    f"{duration(other.left, 0)}.",
                )
        return list(answers.values())

    def _take_one(self, target: SSHTarget) -> _Other:
        other = self._ask("take", target)
        if other.token and _is_gone(other.token):
            self._instead.append(other.token)
            other = self._ask("take", target)
        if not other.token:
            self._held.append(target)
        return other

    def _ask(self, do: str, target: SSHTarget) -> _Other:
        request = {
            "do": do,
            "token": self._token,
            "instead": self._instead,
            "holder": self._holder,
            "seconds": SECONDS,
        }

        def ask(host: str, session: Session) -> _Other:
            script = files("k8sbootstrap.hosts.scripts").joinpath("lease.py").read_bytes()
            return asking.ask(host, session, Question(script, json.dumps(request)), _OTHER, timeout=_TIMEOUT)

        return ask(target.host, self._pool.session(target))

    def _renew(self) -> None:
        while not self._ended.wait(RENEW):
            for host, other in self._ask_all("renew").items():
                if isinstance(other, _Other) and other.token and not self._lost:
                    self._lost = (
                        f"{host}: this command did not renew its lease for {SECONDS:g} s, and another one "
                        f"took it: {shown(other.holder, 300)}"
                    )
                    os.kill(os.getpid(), signal.SIGTERM)  # which interrupts a run as Ctrl-C does

    def _ask_all(self, do: str) -> Mapping[str, _Other | K8sBootstrapError]:
        by_name = {target.host: target for target in self._held}
        return self._pool.on_all(by_name.values(), lambda host, _session: self._ask(do, by_name[host]))


def _place() -> str:
    """Where process ids of this machine count: the boot of its kernel, and the pid namespace; else empty."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _is_gone(token: str) -> bool:
    """Whether the holder of a lease was a process of this machine that has ended."""
    place, _, rest = token.partition(":")
    number = rest.partition(":")[0]
    if not place or place != _place() or not number.isdecimal():
        return False
    return not Path(f"/proc/{int(number)}").exists()

"""Connections to bastions: one each, shared by all hosts behind it."""

import threading
import time
from dataclasses import dataclass, field

import paramiko

from k8sbootstrap.errors import HostError, K8sBootstrapError
from k8sbootstrap.hosts.endpoint import Place, of_bastion
from k8sbootstrap.hosts.known_hosts import KnownHosts
from k8sbootstrap.hosts.transport import end, enter, reach, shown_key
from k8sbootstrap.plan.models import SSHTarget


@dataclass
class _Bastion:
    """One bastion, and the connection to it where there is one."""

    place: Place
    lock: threading.Lock = field(default_factory=threading.Lock)
    transport: paramiko.Transport | None = None
    failure: K8sBootstrapError | None = None
    """Why the last attempt to log in failed."""
    failed_at: float = 0.0
    """Time of that, on the monotonic clock."""


class Bastions:
    """Bastions by address, user and key, connected to when first needed; threads may share it.

    Args:
        timeout: Seconds that each step of connecting may take.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._bastions: dict[tuple[object, ...], _Bastion] = {}

    def shown_key(self, target: SSHTarget) -> paramiko.PKey:
        """The key that the bastion of a host shows, unchecked.

        Raises:
            HostError: It cannot be reached.
        """
        bastion = self._of(target)
        with bastion.lock:
            return shown_key(self._reached(bastion, target), bastion.place)

    def way_to(self, target: SSHTarget) -> paramiko.Transport | None:
        """A connection to the bastion of a host, logged in; None for a host that has no bastion.

        Hosts that wait for the same login share its failure, so that each does not wait for a timeout.

        Raises:
            HostKeyError: Its key is unknown or has changed.
            HostError: It cannot be reached or refuses the login.
        """
        if target.bastion is None:
            return None
        asked = time.monotonic()
        bastion = self._of(target)
        with bastion.lock:
            if bastion.failure and bastion.failed_at >= asked:
                raise _on_the_way_to(target, bastion.failure)
            try:
                transport = self._reached(bastion, target)
                if not transport.is_authenticated():
                    enter(transport, bastion.place, KnownHosts(target.known_hosts), target.key)
            except K8sBootstrapError as exc:
                self._drop(bastion)
                bastion.failure, bastion.failed_at = exc, time.monotonic()
                raise _on_the_way_to(target, exc) from exc
            return transport

    def close(self) -> None:
        """End all connections."""
        for bastion in self._bastions.values():
            with bastion.lock:
                self._drop(bastion)

    def _of(self, target: SSHTarget) -> _Bastion:
        place = of_bastion(target)
        if place is None:
            raise HostError(f"{target.host} has no bastion")
        with self._lock:
            return self._bastions.setdefault((target.bastion, target.key), _Bastion(place))

    def _reached(self, bastion: _Bastion, target: SSHTarget) -> paramiko.Transport:
        transport = bastion.transport
        if transport is None or not transport.is_active():
            self._drop(bastion)
            transport = reach(bastion.place, KnownHosts(target.known_hosts), self._timeout)
            bastion.transport = transport
        return transport

    @staticmethod
    def _drop(bastion: _Bastion) -> None:
        if bastion.transport is not None:
            end(bastion.transport)
            bastion.transport = None


def _on_the_way_to(target: SSHTarget, failure: K8sBootstrapError) -> K8sBootstrapError:
    """The failure of a bastion, as one of a host behind it: ``m1: the bastion (192.0.2.1:22): ...``."""
    return type(failure)(f"{target.host}: {failure}", failure.hint)

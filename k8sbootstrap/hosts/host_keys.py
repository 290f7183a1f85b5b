"""Getting to know hosts: their keys are shown, asked about or accepted once, and compared ever after."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import paramiko

from k8sbootstrap.errors import HostError, HostKeyError
from k8sbootstrap.hosts import endpoint as places
from k8sbootstrap.hosts.endpoint import Place, with_port
from k8sbootstrap.hosts.known_hosts import KnownHosts, describe
from k8sbootstrap.hosts.pool import PARALLEL, Pool
from k8sbootstrap.plan.models import SSHTarget

Ask = Callable[[str, str, str, str], bool]
"""Called with host, address, key type and fingerprint; returns whether to trust the key."""

_FINGERPRINT = "To see a host's fingerprint, run there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"


@dataclass(frozen=True)
class _Stop:
    """One SSH server to get to know."""

    place: Place
    target: SSHTarget
    bastion: bool


def ensure_known(pool: Pool, targets: Iterable[SSHTarget], *, accept_new: bool, ask: Ask | None) -> None:
    """Look at the key of every host and bastion; write new ones that are trusted to the known_hosts file.

    A host that cannot be reached is passed over: the step that needs it next says why.

    Args:
        pool: Connections to the hosts; those that are made here are used for what comes next.
        targets: The hosts.
        accept_new: Trust unknown keys unseen.
        ask: Decides about each unknown key, called one by one; None refuses them.

    Raises:
        HostKeyError: A key has changed, or is unknown and not trusted; names all such keys.
    """
    hosts = list(targets)
    if not hosts:
        return
    stores = {target.known_hosts: KnownHosts(target.known_hosts) for target in hosts}
    for bastion in (True, False):  # hosts behind a bastion can be looked at when the bastion is known
        stops = _stops(hosts, bastion=bastion)
        if stops:
            _settle(pool, stops, stores, accept_new=accept_new, ask=ask)


def _stops(targets: list[SSHTarget], *, bastion: bool) -> list[_Stop]:
    stops: dict[tuple[str, object], _Stop] = {}
    for target in targets:
        place = places.of_bastion(target) if bastion else places.of_host(target)
        if place is not None:
            way = None if bastion else target.bastion
            stops.setdefault((place.known_name, way), _Stop(place, target, bastion))
    return list(stops.values())


def _settle(
    pool: Pool, stops: list[_Stop], stores: dict[Path, KnownHosts], *, accept_new: bool, ask: Ask | None
) -> None:
    def look(stop: _Stop) -> paramiko.PKey | None:
        try:
            return pool.shown_key(stop.target, bastion=stop.bastion)
        except HostError:
            return None

    with ThreadPoolExecutor(PARALLEL) as threads:
        shown = list(threads.map(look, stops))
    problems: list[HostKeyError] = []
    refused: list[str] = []
    hint = next(iter(stores.values())).how_to_accept()
    for stop, key in zip(stops, shown, strict=True):
        if key is None:
            continue
        store = stores[stop.target.known_hosts]
        try:
            if store.check(stop.place, key):
                continue
        except HostKeyError as exc:
            problems.append(exc)
            continue
        address = with_port(stop.place.address, stop.place.port)
        if accept_new or (ask is not None and ask(stop.place.name, address, key.get_name(), key.fingerprint)):
            store.add(stop.place, key)
        else:
            refused.append(f"{stop.place}: unknown SSH host key {describe(key)}")
    if problems or refused:
        raise _together(problems, refused, hint if ask is None else _FINGERPRINT)


def _together(problems: list[HostKeyError], refused: list[str], hint: str) -> HostKeyError:
    """One error for all keys; the hint is about changed keys first, they are the graver ones."""
    if problems:
        hint = problems[0].hint
    return HostKeyError("\n".join([*(str(problem) for problem in problems), *refused]), hint=hint)

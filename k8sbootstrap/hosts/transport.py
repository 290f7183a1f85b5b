"""Opening SSH connections, directly or through a bastion, with every failure put into words."""

import logging
import socket
from collections.abc import Callable

import paramiko

from k8sbootstrap.errors import HostError, HostKeyError
from k8sbootstrap.hosts import endpoint as places
from k8sbootstrap.hosts.endpoint import Place
from k8sbootstrap.hosts.identity import log_in
from k8sbootstrap.hosts.known_hosts import KnownHosts, describe
from k8sbootstrap.plan.models import SSHTarget

KEEPALIVE = 15
"""Seconds between signs of life, so that firewalls keep quiet connections."""
_PROHIBITED = 1
"""RFC 4254: the server does not allow this channel."""

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # its failures arrive as exceptions


class Route:
    """An open connection to a host, together with the one to its bastion that carries it."""

    def __init__(self, transports: list[paramiko.Transport]) -> None:
        self._transports = transports

    @property
    def transport(self) -> paramiko.Transport:
        """The connection to the host itself."""
        return self._transports[-1]

    def close(self) -> None:
        """End the connections, the host's first."""
        for transport in reversed(self._transports):
            transport.close()


Greet = Callable[[paramiko.Transport, Place], None]
"""What to do with a fresh connection to a host: check its key and log in, or only look at its key."""


def connect(target: SSHTarget, known: KnownHosts, timeout: float) -> Route:
    """Connect to a host, checking host keys, and log in.

    Args:
        target: The host.
        known: Accepted host keys.
        timeout: Seconds that each step may take.

    Raises:
        HostKeyError: A host key is unknown or has changed.
        HostError: The host or its bastion cannot be reached or refuses the login.
    """
    return open_route(target, known, timeout, lambda transport, place: enter(transport, place, known, target))


def open_route(target: SSHTarget, known: KnownHosts, timeout: float, greet: Greet) -> Route:
    """Connect to a host, logging in at its bastion if it has one, and ``greet`` the host itself.

    Raises:
        HostKeyError: The bastion's host key is unknown or has changed.
        HostError: The host or its bastion cannot be reached, or the bastion refuses the login.
    """
    transports: list[paramiko.Transport] = []
    route = Route(transports)
    try:
        host, bastion = places.of_host(target), places.of_bastion(target)
        if bastion is None:
            link: socket.socket | paramiko.Channel = _dial(host, timeout)
        else:
            transports.append(_start(_dial(bastion, timeout), bastion, known, timeout))
            enter(route.transport, bastion, known, target)
            link = _pass_through(route.transport, bastion, host, timeout)
        transports.append(_start(link, host, known, timeout))
        greet(route.transport, host)
    except BaseException:
        route.close()
        raise
    return route


def look_at_key(target: SSHTarget, known: KnownHosts, timeout: float, *, bastion: bool) -> paramiko.PKey:
    """The key that a host (or its bastion) shows, unchecked.

    Raises:
        HostKeyError: The bastion in front of the host shows an unknown or changed key.
        HostError: It cannot be reached.
    """
    place = places.of_bastion(target) if bastion else None
    if place is not None:
        transport = _start(_dial(place, timeout), place, known, timeout)
        try:
            return _shown_key(transport, place)
        finally:
            transport.close()
    shown: list[paramiko.PKey] = []
    route = open_route(
        target, known, timeout, lambda transport, host: shown.append(_shown_key(transport, host))
    )
    route.close()
    return shown[0]


def enter(transport: paramiko.Transport, place: Place, known: KnownHosts, target: SSHTarget) -> None:
    """Check the key that the server showed, then log in."""
    shown = _shown_key(transport, place)
    if not known.check(place, shown):
        raise HostKeyError(
            f"{place}: unknown SSH host key {describe(shown)}",
            hint="Compare the fingerprint with the host's own, then run k8sbootstrap preflight on a terminal "
            "and confirm it, or with --accept-new-host-keys.",
        )
    try:
        log_in(transport, place, target.key)
    except (paramiko.SSHException, EOFError, OSError) as exc:
        raise HostError(
            f"{place}: the server ended the connection during authentication",
            hint="Its journal says why: journalctl -u ssh. Too many keys in the agent is a usual cause; "
            "ssh.key in cluster.yaml names the one to use.",
        ) from exc


def _shown_key(transport: paramiko.Transport, place: Place) -> paramiko.PKey:
    try:
        return transport.get_remote_server_key()
    except paramiko.SSHException as exc:
        raise HostError(
            f"{place}: the server ended the connection before the login",
            hint="Its journal says why: journalctl -u ssh.",
        ) from exc


def _dial(place: Place, timeout: float) -> socket.socket:
    try:
        return socket.create_connection((place.address, place.port), timeout=timeout)
    except socket.gaierror as exc:
        raise HostError(
            f"{place}: the name {place.address} cannot be resolved",
            hint="Correct the address in cluster.yaml, or fix the name resolution of this machine.",
        ) from exc
    except TimeoutError as exc:
        raise HostError(
            f"{place}: no answer within {timeout:g} s",
            hint="Check that the host is up, its address right, and no firewall in between.",
        ) from exc
    except ConnectionRefusedError as exc:
        raise HostError(
            f"{place}: connection refused",
            hint=f"Check that an SSH server runs there on port {place.port}.",
        ) from exc
    except OSError as exc:
        raise HostError(
            f"{place}: cannot be reached: {exc.strerror or exc}",
            hint="Check that the host is up, its address right, and a route leads there.",
        ) from exc


def _pass_through(
    transport: paramiko.Transport, bastion: Place, host: Place, timeout: float
) -> paramiko.Channel:
    try:
        return transport.open_channel(
            "direct-tcpip", (host.address, host.port), ("127.0.0.1", 0), timeout=timeout
        )
    except paramiko.ChannelException as exc:
        if exc.code == _PROHIBITED:
            raise HostError(
                f"{host}: {bastion} does not allow forwarding to it",
                hint="Set AllowTcpForwarding yes in the bastion's sshd_config.",
            ) from exc
        raise HostError(
            f"{host}: {bastion} cannot reach it: {exc.text or 'connection failed'}",
            hint="Check that the host is up and its address right as seen from the bastion.",
        ) from exc
    except (paramiko.SSHException, EOFError, OSError) as exc:
        raise HostError(
            f"{host}: no answer through {bastion} within {timeout:g} s",
            hint="Check that the host is up and its address right as seen from the bastion.",
        ) from exc


def _start(
    link: socket.socket | paramiko.Channel, place: Place, known: KnownHosts, timeout: float
) -> paramiko.Transport:
    transport: paramiko.Transport | None = None
    try:
        transport = paramiko.Transport(link)
        transport.banner_timeout = timeout
        transport.handshake_timeout = timeout
        transport.auth_timeout = timeout
        options = transport.get_security_options()
        options.key_types = known.preferred(place, tuple(options.key_types))
        transport.start_client()
    except (paramiko.SSHException, EOFError, OSError) as exc:
        if transport is not None:
            transport.close()
        link.close()
        raise HostError(
            f"{place}: what answers does not speak SSH as expected: {str(exc) or 'it hung up'}",
            hint=f"Check that it is an SSH server that listens on port {place.port}, and not overloaded.",
        ) from exc
    transport.set_keepalive(KEEPALIVE)
    return transport

"""Opening SSH connections, directly or through a bastion, with every failure put into words."""

import logging
import socket
from contextlib import suppress
from pathlib import Path

import paramiko

from k8sbootstrap.errors import HostError, HostKeyError
from k8sbootstrap.hosts.endpoint import Place
from k8sbootstrap.hosts.identity import log_in
from k8sbootstrap.hosts.known_hosts import KnownHosts, describe

KEEPALIVE = 15
"""Seconds between signs of life, so that firewalls keep quiet connections."""
SILENCE = 45
"""Seconds after which a connection whose other side no longer answers these counts as broken."""
_PROHIBITED = 1
"""RFC 4254: the server does not allow this channel."""

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # its failures arrive as exceptions


def reach(
    place: Place, known: KnownHosts, timeout: float, *, through: paramiko.Transport | None = None
) -> paramiko.Transport:
    """Connect to an SSH server, without logging in.

    Args:
        place: The server.
        known: Accepted host keys: the server is asked for one of these.
        timeout: Seconds that each step may take.
        through: A connection to the bastion that the way leads through; None connects directly.

    Raises:
        HostError: It cannot be reached, or does not speak SSH.
    """
    link = _dial(place, timeout) if through is None else _pass_through(through, place, timeout)
    return _start(link, place, known, timeout)


def enter(transport: paramiko.Transport, place: Place, known: KnownHosts, key: Path | None) -> None:
    """Check the key that the server showed, then log in.

    Raises:
        HostKeyError: The server's key is unknown or has changed.
        HostError: The server refuses the login.
    """
    shown = shown_key(transport, place)
    if not known.check(place, shown):
        raise HostKeyError(f"{place}: unknown SSH host key {describe(shown)}", hint=known.how_to_accept())
    try:
        log_in(transport, place, key)
    except (paramiko.SSHException, EOFError, OSError) as exc:
        raise HostError(
            f"{place}: the server closed the connection during authentication",
            hint="See the reason in the host's journal: journalctl -u ssh. A common cause is too many keys "
            "in the agent: set ssh.key in cluster.yaml to the key to use.",
        ) from exc


def end(transport: paramiko.Transport) -> None:
    """Close a connection, also one whose way through a bastion broke before."""
    with suppress(paramiko.SSHException, EOFError, OSError):
        transport.close()


def shown_key(transport: paramiko.Transport, place: Place) -> paramiko.PKey:
    """The key that the server showed, unchecked.

    Raises:
        HostError: The server ended the connection before.
    """
    try:
        return transport.get_remote_server_key()
    except paramiko.SSHException as exc:
        raise HostError(
            f"{place}: the server closed the connection before the login",
            hint="See the reason in the host's journal: journalctl -u ssh",
        ) from exc


def _dial(place: Place, timeout: float) -> socket.socket:
    try:
        link = socket.create_connection((place.address, place.port), timeout=timeout)
    except socket.gaierror as exc:
        raise HostError(
            f"{place}: the name {place.address} cannot be resolved",
            hint="Correct the address in cluster.yaml, or fix the name resolution of this machine.",
        ) from exc
    except TimeoutError as exc:
        raise HostError(
            f"{place}: no answer within {timeout:g} s",
            hint="Check that the host is up, that its address is right, and that no firewall blocks the "
            "connection.",
        ) from exc
    except ConnectionRefusedError as exc:
        raise HostError(
            f"{place}: connection refused",
            hint=f"Check that an SSH server listens on port {place.port} of the host.",
        ) from exc
    except OSError as exc:
        raise HostError(
            f"{place}: cannot be reached: {exc.strerror or exc}",
            hint="Check that the host is up, that its address is right, and that there is a route to it.",
        ) from exc
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE * 1000)
    return link


def _pass_through(bastion: paramiko.Transport, host: Place, timeout: float) -> paramiko.Channel:
    try:
        return bastion.open_channel(
            "direct-tcpip", (host.address, host.port), ("127.0.0.1", 0), timeout=timeout
        )
    except paramiko.ChannelException as exc:
        if exc.code == _PROHIBITED:
            raise HostError(
                f"{host}: the bastion does not allow forwarding to it",
                hint="Set AllowTcpForwarding yes in the bastion's sshd_config.",
            ) from exc
        raise HostError(
            f"{host}: the bastion cannot reach it: {exc.text or 'connection failed'}",
            hint="Check that the host is up, and that the bastion can reach it at this address.",
        ) from exc
    except (paramiko.SSHException, EOFError, OSError) as exc:
        raise HostError(
            f"{host}: no answer through the bastion within {timeout:g} s",
            hint="Check that the host is up, and that the bastion can reach it at this address.",
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
            end(transport)
        with suppress(EOFError, OSError):
            link.close()
        raise HostError(
            f"{place}: the server does not speak SSH as expected: {str(exc) or 'it closed the connection'}",
            hint=f"Check that an SSH server listens on port {place.port}, and that the host is not "
            "overloaded.",
        ) from exc
    transport.set_keepalive(KEEPALIVE)
    return transport

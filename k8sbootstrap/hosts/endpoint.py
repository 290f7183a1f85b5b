"""The machines that a connection goes to, and how messages call them."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from k8sbootstrap.plan.models import SSHTarget

SSH_PORT = 22


@dataclass(frozen=True)
class Place:
    """One SSH server: a host's own or its bastion's."""

    name: str
    """For messages: ``m1``, or ``the bastion``."""
    address: str
    port: int
    user: str

    def __str__(self) -> str:
        return f"{self.name} ({with_port(self.address, self.port)})"

    @property
    def known_name(self) -> str:
        """Its name in a known_hosts file, as OpenSSH writes it."""
        address = self.address.lower()
        return address if self.port == SSH_PORT else f"[{address}]:{self.port}"


def of_host(target: SSHTarget) -> Place:
    """The host itself."""
    return Place(target.host, target.address, target.port, target.user)


def of_bastion(target: SSHTarget) -> Place | None:
    """The host's bastion, where it has one."""
    bastion = target.bastion
    if bastion is None:
        return None
    return Place("the bastion", bastion.address, bastion.port, bastion.user)


def with_port(address: str, port: int) -> str:
    """ADDRESS:PORT, IPv6 in brackets."""
    try:
        bracketed = isinstance(ip_address(address), IPv6Address)
    except ValueError:
        bracketed = False
    return f"[{address}]:{port}" if bracketed else f"{address}:{port}"

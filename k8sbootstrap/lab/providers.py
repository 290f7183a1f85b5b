"""What a lab's hosts can be: containers of systemd-nspawn, or virtual machines of Vagrant."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from k8sbootstrap.lab import nspawn, vagrant
from k8sbootstrap.lab.artifacts import Progress
from k8sbootstrap.lab.model import Lab, LabHost


class Provider(Protocol):
    """Starts and ends the hosts of labs. Each is a module."""

    BOOT_SECONDS: float
    """Within which a host answers over SSH."""

    def require(self, count: int, /) -> None:
        """See that this machine can start that many more hosts."""

    def create(self, lab: Lab, image: Path, public_key: str, progress: Progress, /) -> list[str]:
        """Make what hosts start from, and return their public SSH keys."""

    def is_emulated(self, lab: Lab, /) -> bool:
        """Whether the hosts' processors are emulated, which is slow."""

    def start(self, lab: Lab, hosts: Sequence[LabHost], /) -> None:
        """Boot hosts that do not run."""

    def is_running(self, lab: Lab, host: LabHost, /) -> bool:
        """Whether a host runs."""

    def is_booted(self, lab: Lab, host: LabHost, /) -> bool:
        """Whether users may log in."""

    def port(self, lab: Lab, host: LabHost, /) -> str | None:
        """The network interface of this machine that a host is connected with, if it runs."""

    def kill(self, lab: Lab, host: LabHost, /) -> None:
        """Stop a host at once, as if its plug was pulled."""

    def shut_down(self, lab: Lab, host: LabHost, /) -> None:
        """Let a host stop everything in order."""

    def run_inside(self, lab: Lab, host: LabHost, command: list[str], /) -> int:
        """Run a command as root in a host that runs, and return its exit code."""

    def remove_remains(self, lab: Lab, /) -> None:
        """End and remove what carries the lab's number, but for its folder."""


PROVIDERS: Mapping[str, Provider] = MappingProxyType({"nspawn": nspawn, "vagrant": vagrant})


def provider(lab: Lab) -> Provider:
    """What starts and ends the hosts of a lab."""
    return PROVIDERS[lab.provider]

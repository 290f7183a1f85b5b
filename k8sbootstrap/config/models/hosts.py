"""The hosts, how they are reached, and the secrets that it takes."""

from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from k8sbootstrap.config.models.base import Arch, DnsLabel, Model, Port, Role, UserName, chosen_by, variant


class EnvSecret(Model):
    """A secret read from an environment variable of the controller."""

    env: str
    """Name of the environment variable."""


class FileSecret(Model):
    """A secret read from a file on the controller; trailing newlines are dropped."""

    file: Path
    """Path of the file, relative to cluster.yaml; other users may not read it (mode 0600)."""


Secret = Annotated[
    Annotated[EnvSecret, Tag(variant("env"))] | Annotated[FileSecret, Tag(variant("file"))],
    Discriminator(chosen_by("env", "file"), custom_error_type="one_of", custom_error_message="env, file"),
]


class Bastion(Model):
    """A host that SSH connections pass through."""

    address: str
    """Host name or IP address of the bastion."""
    port: Port = 22
    """TCP port of its SSH server."""
    user: UserName | None = None
    """User to log in as; the host's own SSH user when not given."""


class SSH(Model):
    """How to reach hosts. Every key can be set once for all hosts and again for one host.

    No ssh_config is read, neither yours nor the machine's.
    """

    user: UserName | None = None
    """User to log in as. Default: root."""
    port: Port | None = None
    """TCP port of the SSH server. Default: 22."""
    key: Path | None = None
    """Private key file, relative to cluster.yaml; ~ is expanded. Default: the keys of the agent and OpenSSH's
    usual ones."""
    bastion: Bastion | None = None
    """Host to go through. Default: none, hosts are reached directly."""
    sudo: bool | None = None
    """Become root with sudo. Default: true unless the user is root."""
    sudo_password: Secret | None = None
    """Password for sudo where it asks for one."""


class Taint(Model):
    """A taint that keeps pods without a matching toleration off a node."""

    key: str
    """Taint key, such as example.com/dedicated."""
    value: str = ""
    """Taint value; may be empty."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
    """What happens to pods that do not tolerate the taint."""


class Host(Model):
    """One Linux machine."""

    name: DnsLabel
    """Name of the host and of its node: an RFC 1123 label, unique in the cluster."""
    address: str
    """Host name or IP address that SSH connects to."""
    private_address: IPv4Address | None = None
    """IPv4 address that cluster traffic uses. Default: address, which must be an IPv4 address then."""
    roles: list[Role] = Field(min_length=1)
    """What runs here: master (control plane), worker, etcd. Masters hold etcd when no host has the role
    etcd."""
    arch: Arch = "amd64"
    """Architecture of its processor; its binaries are for that. Hosts of one cluster may differ."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Node labels to set."""
    taints: list[Taint] | None = None
    """Node taints. Default: masters that are not workers get the control-plane taint, all others none."""
    ssh: SSH = Field(default_factory=SSH)
    """How to reach this host, where it differs from the cluster's ssh settings."""

    @property
    def cluster_address(self) -> IPv4Address | None:
        """The IPv4 address that cluster traffic uses; None, an error in a file, where there is none."""
        if self.private_address is not None:
            return self.private_address
        try:
            return IPv4Address(self.address)
        except ValueError:
            return None

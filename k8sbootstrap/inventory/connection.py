"""How hosts are reached, as Ansible and OpenSSH are told."""

import shlex
from typing import Any

from k8sbootstrap.plan.models import HostPlan

CIPHERS = "^aes128-gcm@openssh.com"
"""What OpenSSH is to prefer: its own first choice takes several times the CPU."""
SUDO_PASSWORD_VARIABLE = "K8SBOOTSTRAP_SUDO_PASSWORD_"  # noqa: S105
"""Prefix of the environment variables that hand sudo passwords to Ansible: they never reach a file."""


def sudo_password_variable(host: str) -> str:
    """The environment variable that holds one host's sudo password."""
    return SUDO_PASSWORD_VARIABLE + host.upper().replace("-", "_")


def ssh_command(host: HostPlan) -> list[str]:
    """The OpenSSH command, without what is to run there, that logs in to a host as Ansible does."""
    key = ["-i", str(host.ssh.key)] if host.ssh.key else []
    options = ["-T", "-o", "BatchMode=yes", "-o", f"Ciphers={CIPHERS}", "-p", str(host.ssh.port), *key]
    return ["ssh", *options, *shlex.split(_ssh_arguments(host)), f"{host.ssh.user}@{host.address}"]


def connection_variables(host: HostPlan) -> dict[str, Any]:
    """What the templates say of the way to a host."""
    return {
        "ssh_arguments": _ssh_arguments(host),
        "sudo_password_variable": sudo_password_variable(host.name),
    }


def _ssh_arguments(host: HostPlan) -> str:
    """Options for OpenSSH: the cluster's own known_hosts, checked strictly, also for the bastion."""
    target = host.ssh
    options = ["-o", f"UserKnownHostsFile={target.known_hosts}", "-o", "StrictHostKeyChecking=yes"]
    if target.key:
        options += ["-o", "IdentitiesOnly=yes"]
    bastion = target.bastion
    if bastion:
        key = ["-i", str(target.key)] if target.key else []
        hop = [
            "ssh",
            *options,
            *key,
            "-W",
            "[%h]:%p",
            "-p",
            str(bastion.port),
            f"{bastion.user}@{bastion.address}",
        ]
        options += ["-o", f"ProxyCommand={shlex.join(hop)}"]
    return shlex.join(options)

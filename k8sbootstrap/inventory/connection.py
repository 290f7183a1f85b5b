"""How hosts are reached, as Ansible and OpenSSH are told."""

import re
import shlex
from pathlib import Path
from typing import Any

from k8sbootstrap.formats.ansible_yaml import Template
from k8sbootstrap.plan.models import HostPlan

CIPHERS = "^aes128-gcm@openssh.com"
"""What OpenSSH is to prefer: its own first choice takes several times the CPU."""
_ONE_WORD = re.compile(r"[\w@%+=:,./-]+")
"""What OpenSSH reads as one word without quotes."""
SUDO_PASSWORD_VARIABLE = "K8SBOOTSTRAP_SUDO_PASSWORD_"  # noqa: S105
"""Prefix of the environment variables that hand sudo passwords to Ansible: they never reach a file."""


def sudo_password_variable(host: str) -> str:
    """The environment variable that holds one host's sudo password."""
    return SUDO_PASSWORD_VARIABLE + host.upper().replace("-", "_")


def ssh_command(host: HostPlan) -> list[str]:
    """The OpenSSH command, without what is to run there, that logs in to a host as Ansible does."""
    options = ["-T", "-o", "BatchMode=yes", "-o", f"Ciphers={CIPHERS}", "-p", str(host.ssh.port)]
    return ["ssh", *options, *shlex.split(_ssh_arguments(host)), "-l", host.ssh.user, "--", host.address]


def tunnel_command(host: HostPlan, port: int, target: str) -> list[str]:
    """The OpenSSH command that leads a port of this machine to an address on a host.

    Args:
        host: The host.
        port: Of this machine's loopback address.
        target: HOST:PORT, as the host sees it.
    """
    *words, end, address = ssh_command(host)
    forward = ["-N", "-o", "ExitOnForwardFailure=yes", "-L", f"127.0.0.1:{port}:{target}"]
    return [*words, *forward, end, address]


def connection_variables(host: HostPlan) -> dict[str, Any]:
    """How Ansible reaches a host."""
    variables = {
        "ansible_host": host.address,
        "ansible_port": host.ssh.port,
        "ansible_user": host.ssh.user,
        "ansible_ssh_common_args": _ssh_arguments(host),
        "ansible_become": host.ssh.sudo,
    }
    if host.ssh.sudo_password is not None:
        variable = sudo_password_variable(host.name)
        variables["ansible_become_password"] = Template(
            f"{{{{ lookup('ansible.builtin.env', '{variable}') }}}}"
        )
    return variables


def openssh_options(known_hosts: Path, key: Path | None) -> list[str]:
    """Options for OpenSSH: this known_hosts, checked strictly, this key, and no other settings.

    No ssh_config is read: it could forward the agent to hosts, or run commands.
    """
    options = [
        *("-F", "none"),
        *_path_option("UserKnownHostsFile", known_hosts),
        *("-o", "GlobalKnownHostsFile=/dev/null"),
        *("-o", "StrictHostKeyChecking=yes"),
    ]
    return [*options, "-o", "IdentitiesOnly=yes", *_path_option("IdentityFile", key)] if key else options


def _ssh_arguments(host: HostPlan) -> str:
    """The options for a host; they hold for its bastion as well."""
    target = host.ssh
    options = openssh_options(target.known_hosts, target.key)
    bastion = target.bastion
    if bastion:
        hop = shlex.join(["ssh", *options, "-W"]).replace("%", "%%")
        to = shlex.join(["-p", str(bastion.port), "-l", bastion.user, "--", bastion.address])
        command = f"{hop} '[%h]:%p' {to}"
        options += ["-o", f"ProxyCommand={command}"]
    return shlex.join(options)


def _path_option(name: str, path: Path) -> list[str]:
    """An option that names a file. OpenSSH splits its value into words, and replaces what follows a ``%``."""
    text = str(path).replace("%", "%%")
    if not _ONE_WORD.fullmatch(text):
        text = '"' + re.sub(r'["\\]', r"\\\g<0>", text) + '"'
    return ["-o", f"{name}={text}"]

"""Rules about files on this machine that a cluster file names."""

import os
from collections.abc import Iterator
from pathlib import Path

from k8sbootstrap.config.document import Location
from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.models import SSH, DirectorySource, FileSecret
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.config.rules.finding import Finding

_OTHERS = 0o077


def ssh_files(draft: Draft, base: Path) -> Iterator[Finding]:
    """Private keys and secret files are there, can be read, and keys are readable by their owner alone."""
    if draft.ssh is not None:
        yield from _of_ssh(draft.ssh, ("ssh",), base)
    for index, host in draft.hosts.items():
        yield from _of_ssh(host.ssh, ("hosts", index, "ssh"), base)


def source_directories(draft: Draft, base: Path) -> Iterator[Finding]:
    """Directories that artifacts come from are there."""
    for index, source in enumerate(draft.artifacts.sources if draft.artifacts else []):
        if isinstance(source, DirectorySource) and not (local_path(source.directory, base)).is_dir():
            location = ("artifacts", "sources", index, "directory")
            yield Finding(location, f"{source.directory} is not a directory", "make it or name another one")


def _of_ssh(ssh: SSH, location: Location, base: Path) -> Iterator[Finding]:
    if ssh.key is not None:
        yield from _private_key(local_path(ssh.key, base), (*location, "key"))
    if isinstance(ssh.sudo_password, FileSecret):
        place = (*location, "sudoPassword", "file")
        yield from _readable(local_path(ssh.sudo_password.file, base), place)


def _private_key(file: Path, location: Location) -> Iterator[Finding]:
    unreadable = list(_readable(file, location))
    yield from unreadable
    if unreadable:
        return
    mode = file.stat().st_mode & 0o777
    if file.suffix == ".pub":
        yield Finding(location, f"{file} is a public key", f"name the private one, such as {file.stem}")
    elif mode & _OTHERS:
        yield Finding(location, f"{file} is open to other users (mode {mode:04o})", f"run: chmod 600 {file}")


def _readable(file: Path, location: Location) -> Iterator[Finding]:
    if not file.exists():
        yield Finding(location, f"{file} does not exist", "name a file that does")
    elif not file.is_file():
        yield Finding(location, f"{file} is not a file", "name a file")
    elif not os.access(file, os.R_OK):
        yield Finding(location, f"{file} cannot be read by this user", "change its owner or mode")

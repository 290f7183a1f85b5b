"""Rules about files on this machine that a cluster file names."""

import os
import re
import shlex
from collections.abc import Iterator
from os.path import isdir, isfile
from pathlib import Path

from cryptography import x509

from k8sbootstrap.config.document import Location
from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.models.artifacts import DirectorySource
from k8sbootstrap.config.models.hosts import SSH, FileSecret
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.config.rules.finding import Finding
from k8sbootstrap.config.rules.snapshots import PLACE, bucket_of
from k8sbootstrap.formats.image_archive import ImageArchiveError, read_archive

_OTHERS = 0o077
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def ssh_files(draft: Draft, base: Path) -> Iterator[Finding]:
    """Private keys and files with passwords are there, and can be read by their owner alone."""
    wrong = _replaced_by_ansible(base) or _wrong_in(base)  # the state directory is beside the cluster file
    if wrong:
        yield Finding((), f"the directory {str(base)!r} has {wrong} in its path", "move the file elsewhere")
    if draft.ssh is not None:
        yield from _of_ssh(draft.ssh, ("ssh",), base)
    for index, host in draft.hosts.items():
        yield from _of_ssh(host.ssh, ("hosts", index, "ssh"), base)


def source_directories(draft: Draft, base: Path) -> Iterator[Finding]:
    """Directories that artifacts come from are there; or the bundle, for nothing else is asked then."""
    if draft.artifacts and draft.artifacts.bundle:
        bundle = local_path(draft.artifacts.bundle, base)
        if not isfile(bundle):  # noqa: PTH113 - as below
            yield Finding(
                ("artifacts", "bundle"),
                f"{bundle} is not a file",
                "make it with k8sbootstrap bundle create, or name another bundle",
            )
        return
    for index, source in enumerate(draft.artifacts.sources if draft.artifacts else []):
        if not isinstance(source, DirectorySource):
            continue
        directory = local_path(source.directory, base)
        if not isdir(directory):  # noqa: PTH112 - Path's own raises where a folder may not be entered
            location = ("artifacts", "sources", index, "directory")
            yield Finding(
                location, f"{source.directory} is not a directory", "create it or name another directory"
            )


def hook_programs(draft: Draft, base: Path) -> Iterator[Finding]:
    """Programs that hooks name by a path are there and can be run. PATH may differ when they are."""
    for index, hook in draft.hooks.items():
        program = hook.command[0]
        if "/" not in program or "\0" in program:
            continue
        file = local_path(Path(program), base)
        location = ("hooks", index, "command", 0)
        if not isfile(file):  # noqa: PTH113 - Path's own raises where a folder may not be entered
            yield Finding(location, f"{file} is not a file", "name an existing program")
        elif not os.access(file, os.X_OK):
            yield Finding(location, f"this user cannot run {file}", f"run: chmod +x {shlex.quote(str(file))}")


def registry_files(draft: Draft, base: Path) -> Iterator[Finding]:
    """CAs and passwords of registries can be read, and passwords by their owner alone."""
    for index, registry in enumerate(draft.runtime.registries if draft.runtime else ()):
        location = ("runtime", "registries", index)
        if registry.ca is not None:
            yield from _certificates(local_path(registry.ca, base), (*location, "ca"))
        if isinstance(registry.password, FileSecret):
            place = (*location, "password", "file")
            yield from _private(local_path(registry.password.file, base), place)


def snapshot_files(draft: Draft, base: Path) -> Iterator[Finding]:
    """The CA and the secret of the bucket for snapshots can be read, and the secret by its owner alone."""
    wanted = bucket_of(draft)
    if wanted is None:
        return
    if wanted.ca is not None:
        yield from _certificates(local_path(wanted.ca, base), (*PLACE, "ca"))
    if isinstance(wanted.secret_key, FileSecret):
        yield from _private(local_path(wanted.secret_key.file, base), (*PLACE, "secretKey", "file"))


def image_archives(draft: Draft, base: Path) -> Iterator[Finding]:
    """Images to load are in archives that runtimes can load, for an architecture that a host has."""
    archs = {host.arch for host in draft.hosts.values()}
    named = [(("runtime", "images"), draft.runtime.images)] if draft.runtime else []
    named += [(("registry", "images"), draft.registry.images)] if draft.registry else []
    for image, location in [
        (path, (*key, index)) for key, paths in named for index, path in enumerate(paths)
    ]:
        file = local_path(image, base)
        unreadable = list(readable(file, location))
        yield from unreadable
        if unreadable:
            continue
        try:
            found = read_archive(file)
        except ImageArchiveError as exc:
            yield Finding(location, f"{file} {exc}", exc.fix)
            continue
        if draft.hosts and found.arch not in archs:
            fix = f"save it for {' or '.join(sorted(archs))}"
            yield Finding(location, f"{file} is for {found.arch}, but no host has this architecture", fix)


def _of_ssh(ssh: SSH, location: Location, base: Path) -> Iterator[Finding]:
    if ssh.key is not None:
        yield from _private_key(local_path(ssh.key, base), (*location, "key"))
    if isinstance(ssh.sudo_password, FileSecret):
        place = (*location, "sudoPassword", "file")
        yield from _private(local_path(ssh.sudo_password.file, base), place)


def _wrong_in(path: Path) -> str:
    """The part of a path that OpenSSH replaces even in quotes; empty where there is none."""
    if "${" in str(path):
        return "'${', which OpenSSH replaces,"
    return "control characters or bytes that are not UTF-8" if _NO_TEXT.search(str(path)) else ""


def _replaced_by_ansible(folder: Path) -> str:
    """What Ansible replaces in the path of an inventory or of a playbook."""
    found = [name for name in re.findall(r"\$(\w+)", str(folder)) if name in os.environ]
    what = f"'${found[0]}'" if found else "'{{CWD}}'" if "{{CWD}}" in str(folder) else ""
    return what and f"{what}, which Ansible replaces,"


def _private_key(file: Path, location: Location) -> Iterator[Finding]:
    wrong = _wrong_in(file)
    if wrong:
        yield Finding(location, f"{str(file)!r} has {wrong} in its path", "move the key elsewhere")
    if file.suffix == ".pub" and not list(readable(file, location)):
        yield Finding(location, f"{file} is a public key", f"name the private key, such as {file.stem}")
    else:
        yield from _private(file, location)


def _private(file: Path, location: Location) -> Iterator[Finding]:
    """A file with a secret can be read, and by its owner alone, as ssh wants it of keys."""
    unreadable = list(readable(file, location))
    yield from unreadable
    if unreadable:
        return
    mode = file.stat().st_mode & 0o777
    if mode & _OTHERS:
        fix = f"run: chmod 600 {shlex.quote(str(file))}"
        yield Finding(location, f"{file} is open to other users (mode {mode:04o})", fix)


def _certificates(file: Path, location: Location) -> Iterator[Finding]:
    unreadable = list(readable(file, location))
    yield from unreadable
    if unreadable:
        return
    try:
        x509.load_pem_x509_certificates(file.read_bytes())
    except ValueError:
        yield Finding(location, f"{file} contains no certificate", "name a file with PEM certificates")


def readable(file: Path, location: Location) -> Iterator[Finding]:
    """A file is there, and this user can read it."""
    try:
        file.open("rb").close()
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        yield Finding(location, f"{file} cannot be read: {reason}", "name a file that this user can read")

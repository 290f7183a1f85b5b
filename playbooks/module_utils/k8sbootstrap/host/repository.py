"""Packages that were brought along: an apt repository in a folder of its own, there only while it is used.

apt is told of it by options alone: the host's own sources and lists stay as they are.
"""

from __future__ import annotations

import base64
import os
import platform
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Mapping

from ansible.module_utils.k8sbootstrap.host.arrivals import opened, sha256_of
from ansible.module_utils.k8sbootstrap.host.packages import os_release

FOLDER = "/var/lib/k8sbootstrap/packages"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class RepositoryError(Exception):
    """The packages that were brought along can't be used; the text says why."""


class Repository:
    """The repository for this host, in a ``with`` block.

    Args:
        indexes: System, such as debian12/amd64, to its index, compressed and in base64.
        folder: Where it is meanwhile.

    ``options`` is what apt-get must be given to use it alone.
    """

    def __init__(self, indexes: Mapping[str, str], folder: str = FOLDER) -> None:
        self._folder = folder
        self.options = (
            f"-oDir::Etc::sourcelist={folder}/sources.list",
            "-oDir::Etc::sourceparts=/dev/null",
            "-oDir::Etc::preferences=/dev/null",
            "-oDir::Etc::preferencesparts=/dev/null",
            f"-oDir::State::lists={folder}/lists",
            f"-oDir::Cache={folder}/cache",
            "-oAPT::Sandbox::User=root",
            "-oAcquire::Languages=none",
        )
        self.system = _system()
        if self.system not in indexes:
            raise RepositoryError(
                "the bundle has packages for {}, but this host is {}. Make a new bundle with --os".format(
                    ", ".join(sorted(indexes)), self.system
                )
            )
        self._index = zlib.decompress(base64.b64decode(indexes[self.system]))
        self._packages = dict(map(_entry, self._index.decode().strip().split("\n\n")))

    def __enter__(self) -> Repository:  # noqa: PYI034 - Self is of Python 3.11
        shutil.rmtree(self._folder, ignore_errors=True)
        for name in ("lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(self._folder, name))
        os.chmod(self._folder, 0o700)
        with open(os.path.join(self._folder, "Packages"), "wb") as file:
            file.write(self._index)
        with open(os.path.join(self._folder, "sources.list"), "w", encoding="ascii") as file:
            # trusted: whatever is in there has the hash that the index says, and that came over SSH
            file.write(f"deb [trusted=yes] file:{self._folder} ./\n")
        self._apt("update", "-q")
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def needed(self, packages: list[str]) -> list[str]:
        """Names of the files that installing the packages on this host takes."""
        said = self._apt("install", "--simulate", "--no-install-recommends", "-q", *packages)
        chosen = [line.replace("[", " ").split() for line in said.splitlines() if line.startswith("Inst ")]
        versions = {line[1].partition(":")[0]: _version(line) for line in chosen}
        return sorted(self._packages[name, version][0] for name, version in versions.items())

    def take(self, archive: str) -> None:
        """Unpack the archive that was sent; every package must have the hash that the index says."""
        hashes = dict(self._packages.values())
        with opened(archive) as handle, tarfile.open(fileobj=handle, mode="r:") as tar:
            for member in tar:
                wanted = hashes.get(member.name)
                source = tar.extractfile(member) if member.isreg() else None
                if wanted is None or source is None:
                    raise RepositoryError(f"{member.name} is not one of the bundle's packages")
                with source, open(os.path.join(self._folder, member.name), "wb") as out:
                    digest = sha256_of(source, out)
                if digest != wanted:
                    raise RepositoryError(
                        f"{member.name} arrived with the wrong content: sha256 {digest} instead of "
                        f"{wanted}, which the bundle's index names"
                    )
        os.unlink(archive)

    def _apt(self, *arguments: str) -> str:
        done = subprocess.run(
            ["apt-get", *self.options, *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=dict(os.environ, LC_ALL="C"),
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip().splitlines()[-8:]
            raise RepositoryError("the bundle's packages can't be installed here: {}".format(" ".join(said)))
        return done.stdout


def _version(line: list[str]) -> str:
    """The version in ``Inst NAME OLD] (NEW ...``."""
    return next(word for word in line if word.startswith("(")).lstrip("(")


def _entry(stanza: str) -> tuple[tuple[str, str], tuple[str, str]]:
    fields = dict(line.split(": ", 1) for line in stanza.splitlines())
    return (fields["Package"], fields["Version"]), (fields["Filename"].replace("./", "", 1), fields["SHA256"])


def _system() -> str:
    release = os_release()
    machine = platform.machine()
    return f"{release.get('ID', '')}{release.get('VERSION_ID', '')}/{_ARCHITECTURES.get(machine, machine)}"

"""The controller's apt, set to work for another system: release, architecture and installed packages.

The machine's own configuration of apt stays as it is, and says how to reach mirrors (proxies, options).
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.errors import BundleError


@dataclass(frozen=True)
class System:
    """What hosts run, as far as packages for it can be had."""

    suite: str
    """What Debian calls the release."""
    release: tuple[str, str]
    """ID and VERSION_ID of its /etc/os-release."""


SYSTEMS: Mapping[str, System] = {
    "debian12": System("bookworm", ("debian", "12")),
    "debian13": System("trixie", ("debian", "13")),
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_POCKETS = ("", "-updates", "-security")
_SOURCE = """\
Types: deb
URIs: {uri}
Suites: {suite}
Components: main
Architectures: {arch}
Signed-By: {keyring}
"""
_HINT = "Make the bundle on a Debian machine whose apt has a mirror, with debian-archive-keyring installed."


@dataclass(frozen=True)
class Package:
    """A package of a distribution, as its index describes it."""

    name: str
    version: str
    arch: str
    """An architecture, or all."""
    size: int
    sha256: str
    fields: Mapping[str, str]
    """Everything that the index says."""

    @property
    def file(self) -> str:
        """Its file's name, as in the distribution's own archive: without the version's epoch."""
        return f"{self.name}_{self.version.partition(':')[2] or self.version}_{self.arch}.deb"


class AptForSystem:
    """Runs apt's programs for one system on which nothing is installed.

    Args:
        folder: Made ready by ``apt_for``.
        arch: amd64 or arm64.
    """

    def __init__(self, folder: Path, arch: str) -> None:
        self._options = [
            f"-oDir::Etc::sourcelist={folder / 'bundle.sources'}",
            "-oDir::Etc::sourceparts=/dev/null",
            "-oDir::Etc::preferences=/dev/null",
            "-oDir::Etc::preferencesparts=/dev/null",
            f"-oDir::State={folder / 'state'}",
            f"-oDir::State::status={folder / 'status'}",
            f"-oDir::Cache={folder / 'cache'}",
            f"-oAPT::Architecture={arch}",
            f"-oAPT::Architectures::={arch}",
            "-oAPT::Install-Recommends=false",
            "-oAcquire::Languages=none",
            "-oAcquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
            *(["-oAPT::Sandbox::User=root"] if os.geteuid() == 0 else []),
        ]

    def update(self) -> None:
        """Fetch the indexes; their signatures are checked with the distribution's keys.

        Raises:
            BundleError: They can't be had, or are not signed.
        """
        self._run("apt-get", "update", "--error-on=any")

    def closure(self, packages: list[str]) -> list[Package]:
        """The packages, and everything that they depend on.

        Raises:
            BundleError: The distribution does not have them.
        """
        said = self._run("apt-get", "install", "--simulate", *packages)
        chosen = [line.split() for line in said.splitlines() if line.startswith("Inst ")]
        wanted = sorted({f"{words[1].partition(':')[0]}={words[2].lstrip('(')}" for words in chosen})
        stanzas = self._run("apt-cache", "show", *wanted).split("\n\n")
        found = {f"{each.name}={each.version}": each for each in map(_package, filter(str.strip, stanzas))}
        return [found[name] for name in wanted]

    def download(self, packages: list[Package], folder: Path) -> None:
        """Put packages' files into a folder, named as apt names them; their hashes are checked.

        Raises:
            BundleError: One can't be had.
        """
        self._run("apt-get", "download", *(f"{each.name}={each.version}" for each in packages), cwd=folder)

    def _run(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        command = [program, *(["-q"] if program == "apt-get" else []), *self._options, *arguments]
        return _output(command, cwd)


@contextmanager
def apt_for(system: str, arch: str) -> Iterator[AptForSystem]:
    """Apt for a system such as debian12, from the mirrors that this machine's apt uses.

    Raises:
        BundleError: This machine has no apt, no Debian mirror, or not Debian's keys.
    """
    suite = SYSTEMS[system].suite
    with tempfile.TemporaryDirectory(prefix="k8sbootstrap-apt-") as name:
        folder = Path(name)
        (folder / "state" / "lists" / "partial").mkdir(parents=True)
        (folder / "cache" / "archives" / "partial").mkdir(parents=True)
        (folder / "status").touch()
        (folder / "bundle.sources").write_text(
            "\n".join(
                _SOURCE.format(uri=uri, suite=suite + pocket, arch=arch, keyring=KEYRING)
                for pocket, uri in _mirrors().items()
            )
        )
        apt = AptForSystem(folder, arch)
        apt.update()
        yield apt


def _mirrors() -> dict[str, str]:
    """Which mirror this machine uses for releases, for their updates and for their security updates."""
    lines = _output(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)",
            "Created-By: Packages",
        ]
    )
    found: dict[str, str] = {}
    for line in lines.splitlines():
        origin, codename, component, uri = line.split("|", 3)
        pocket = f"-{codename.partition('-')[2]}" if "-" in codename else ""
        if origin == "Debian" and component == "main" and pocket in _POCKETS:
            found.setdefault(pocket, uri)
    if "" not in found:
        raise BundleError("apt on this machine has no Debian mirror", hint=_HINT)
    if not KEYRING.exists():
        raise BundleError(f"{KEYRING} does not exist, so Debian's signatures can't be checked", hint=_HINT)
    return found


def _package(stanza: str) -> Package:
    fields: dict[str, str] = {}
    for line in stanza.strip().splitlines():
        if not line.startswith((" ", "\t")):
            key, _, value = line.partition(":")
            fields[key] = value.strip()
    return Package(
        fields["Package"],
        fields["Version"],
        fields["Architecture"],
        int(fields["Size"]),
        fields["SHA256"],
        fields,
    )


def _output(command: list[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, check=False, cwd=cwd, capture_output=True, text=True, env=dict(os.environ, LC_ALL="C")
        )
    except FileNotFoundError as exc:
        raise BundleError(
            f"{command[0]} is not installed on this machine; it is needed to take packages "
            "from a Debian mirror",
            hint="Make the bundle on a Debian machine.",
        ) from exc
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:", " "))][-8:]
        raise BundleError(
            "\n".join([f"{command[0]} failed for the bundle's packages:", *said]),
            hint="Check that apt on this machine can reach its mirror: apt-get update",
        )
    return done.stdout

"""Debian's packages, from the mirror that this machine's own apt uses."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab.commands import run

SUITE = "bookworm"
"""The release of Debian whose packages the lab takes programs and libraries from."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def mirror() -> str:
    """Base URL of the machine's Debian mirror.

    Raises:
        LabError: apt has no Debian source.
    """
    lines = run(
        "apt-get",
        "indextargets",
        "--format",
        "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)",
        "Created-By: Packages",
    )
    for line in lines.splitlines():
        origin, codename, component, address = line.split("|", 3)
        if origin == "Debian" and component == "main" and "-" not in codename:
            return address.rstrip("/")
    raise LabError(
        "apt on this machine has no Debian mirror",
        hint="Add one to /etc/apt/sources.list.d, then run: apt-get update",
    )


def passed_on() -> str:
    """The parts of this machine's apt configuration that lab hosts need: proxies, checks of dates."""
    wanted = ("Acquire::http::", "Acquire::https::", "Acquire::Check-")
    lines = (line for line in run("apt-config", "dump").splitlines() if line.startswith(wanted))
    return "".join(f"{line}\n" for line in lines if not line.endswith(' "";'))


class LabApt:
    """The program apt-get with a source list of its own: the machine's configuration stays as it is."""

    def __init__(self, folder: Path) -> None:
        self._options = [
            f"-oDir::Etc::sourcelist={folder / 'lab.sources'}",
            "-oDir::Etc::sourceparts=/dev/null",
            f"-oDir::State::lists={folder / 'lists'}",
            f"-oDir::Cache={folder / 'cache'}",
            "-oAPT::Sandbox::User=root",
        ]

    def get(self, *arguments: str, cwd: Path) -> str:
        """Run apt-get with these arguments in a folder."""
        return run("apt-get", "-q", *self._options, *arguments, cwd=cwd)

    def with_dependencies(self, packages: Sequence[str], cwd: Path) -> list[str]:
        """Names of these packages, and of all that would be installed with them where there are none yet."""
        nothing_installed = ("-oDir::State::status=/dev/null", "-oDebug::NoLocking=1")
        install = ("install", "--yes", "--no-install-recommends", "--print-uris", *packages)
        lines = self.get(*nothing_installed, *install, cwd=cwd).splitlines()
        return [line.split()[1].partition("_")[0] for line in lines if line.startswith("'")]


@contextmanager
def apt(suite: str, types: str = "deb") -> Iterator[LabApt]:
    """What runs apt-get for one suite of the machine's mirror, such as bookworm, in the ``with`` block."""
    with tempfile.TemporaryDirectory(prefix="k8sbootstrap-apt-") as name:
        folder = Path(name)
        (folder / "lists" / "partial").mkdir(parents=True)
        (folder / "cache" / "archives" / "partial").mkdir(parents=True)
        (folder / "lab.sources").write_text(
            f"Types: {types}\nURIs: {mirror()}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n"
        )
        tool = LabApt(folder)
        tool.get("update", cwd=folder)
        yield tool


def unpack(suite: str, packages: Sequence[str], target: Path, *, dependencies: bool = False) -> None:
    """Download binary packages of a suite and unpack their files into a folder; installs nothing.

    Args:
        suite: Such as bookworm.
        packages: Their names.
        target: The folder.
        dependencies: Whether packages that these depend on are unpacked too.

    Raises:
        LabError: One can't be fetched.
    """
    with apt(suite) as tool, tempfile.TemporaryDirectory(prefix="k8sbootstrap-deb-") as name:
        wanted = tool.with_dependencies(packages, Path(name)) if dependencies else packages
        tool.get("download", *wanted, cwd=Path(name))
        for package in sorted(Path(name).glob("*.deb")):
            run("dpkg-deb", "-x", str(package), str(target))

"""Distribution packages as a flat apt repository: what hosts are given, and what a bundle has of it."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from k8sbootstrap.artifacts.bundle.manifest import INDEX
from k8sbootstrap.artifacts.packages.apt import Package, apt_for
from k8sbootstrap.errors import BundleError
from k8sbootstrap.formats.text import count, megabytes

_FIELDS = (
    "Package",
    "Version",
    "Architecture",
    "Multi-Arch",
    "Essential",
    "Priority",
    "Section",
    "Installed-Size",
    "Pre-Depends",
    "Depends",
    "Conflicts",
    "Breaks",
    "Replaces",
    "Provides",
)
"""What apt needs to know to install a package: not what it only recommends, nor descriptions."""


def collect(
    system: str, arch: str, packages: Sequence[str], cache: Path, status: Callable[[str], None]
) -> tuple[list[Package], Path]:
    """Get packages with all that they depend on.

    Args:
        system: As in debian12.
        arch: amd64 or arm64.
        packages: Names.
        cache: The cache directory.
        status: Told what is going on.

    Returns:
        The packages, and the folder that has their files.

    Raises:
        BundleError: They can't be had.
    """
    folder = cache / "packages" / system / arch
    folder.mkdir(parents=True, exist_ok=True)
    status(f"{system}/{arch}: finding the packages that are needed")
    with apt_for(system, arch) as apt:
        needed = apt.closure(sorted(packages))
        lacking = [package for package in needed if not _is_there(folder, package)]
        if lacking:
            size = sum(package.size for package in lacking)
            status(f"{system}/{arch}: {count(len(lacking), 'package')}, {megabytes(size, 0)}")
            apt.download(lacking, folder)
        for package in lacking:
            _named(folder, package)
    return needed, folder


def index(packages: Sequence[Package]) -> bytes:
    """The repository's ``Packages``."""
    return "\n".join(_stanza(package) for package in packages).encode()


def release(system: str, arch: str, packages: bytes) -> bytes:
    """The repository's ``Release``, which says which hash ``Packages`` has."""
    lines = (
        "Origin: k8sbootstrap",
        f"Suite: {system}",
        f"Architectures: {arch}",
        "Date: Thu, 01 Jan 1970 00:00:00 UTC",
        "SHA256:",
        f" {hashlib.sha256(packages).hexdigest()} {len(packages)} {INDEX}",
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _stanza(package: Package) -> str:
    fields = {name: package.fields[name] for name in _FIELDS if name in package.fields}
    fields |= {"Filename": f"./{package.file}", "Size": str(package.size), "SHA256": package.sha256}
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def _is_there(folder: Path, package: Package) -> bool:
    path = folder / package.file
    return path.is_file() and path.stat().st_size == package.size and _sha256(path) == package.sha256


def _named(folder: Path, package: Package) -> None:
    """Give a file that apt downloaded the name that the repository has for it, and check its hash."""
    downloaded = folder / f"{package.name}_{package.version.replace(':', '%3a')}_{package.arch}.deb"
    sha256 = _sha256(downloaded)
    if sha256 != package.sha256:
        downloaded.unlink()
        raise BundleError(
            f"{downloaded.name} has sha256 {sha256} and must have {package.sha256},"
            " as the index of its mirror says"
        )
    downloaded.replace(folder / package.file)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

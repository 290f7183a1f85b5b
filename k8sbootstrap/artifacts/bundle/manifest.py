"""The manifest of a bundle: ``manifest.json``, the first file in it."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from pydantic import TypeAdapter, ValidationError

from k8sbootstrap.errors import BundleError
from k8sbootstrap.formats.bounded import load_json

NAME = "manifest.json"
FORMAT = "k8sbootstrap-bundle/1"
"""It changes when programs that read this version would misread the next."""
PACKAGES = "packages"
"""Folder of the apt repositories: packages/SYSTEM/ARCH, as in packages/debian12/amd64."""
INDEX = "Packages"
"""Index of such a repository: names, hashes and relations of its packages."""
_PATH = re.compile(r"(?!\.)[\w.+~@%-]+(/(?!\.)[\w.+~@%-]+)*", re.ASCII)
_SYSTEM = re.compile(r"[a-z0-9.]+/[a-z0-9]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class BundledFile:
    """A file of the bundle."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All that is in a bundle, and what it is for."""

    cluster: str
    """Name of the cluster in cluster.yaml."""
    kubernetes: str
    """Version that cluster.yaml names."""
    architectures: tuple[str, ...]
    images: Mapping[str, str]
    """Reference of each image, by the path of its tar."""
    missing: tuple[str, ...]
    """References of images that the cluster uses and that are not in the bundle."""
    packages: Mapping[str, tuple[str, ...]]
    """Packages to install, by SYSTEM/ARCH such as debian12/amd64; the bundle has their dependencies too."""
    files: Mapping[str, BundledFile] = field(default_factory=dict)
    """Every file but the manifest itself, by its path."""

    def text(self) -> str:
        """The content of ``manifest.json``."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True) + "\n"

    @property
    def sha256(self) -> str:
        """Hash of ``manifest.json``. It has the hash of every other file, so this covers the whole bundle."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files.values())


_MODEL = TypeAdapter(Manifest)


def parse(text: str) -> Manifest:
    """Read ``manifest.json``.

    Raises:
        BundleError: It is no manifest, or one of a format that this program does not know.
    """
    try:
        document = load_json(text)
        found = document.pop("format")
        if found != FORMAT:
            raise BundleError(
                f"its format is {str(found)[:40]!r}, but this program reads format {FORMAT}",
                hint="Make a new bundle, or use the version of k8sbootstrap that made this one.",
            )
        manifest = _MODEL.validate_python(document)
    except (ValueError, LookupError, AttributeError, TypeError, ValidationError) as exc:
        raise BundleError(f"its {NAME} is damaged") from exc
    for path, entry in manifest.files.items():
        if not _PATH.fullmatch(path) or not _SHA256.fullmatch(entry.sha256) or entry.size < 0:
            raise BundleError(f"its {NAME} is damaged: it lists {path[:100]!r}")
    for system in manifest.packages:
        if not _SYSTEM.fullmatch(system) or f"{PACKAGES}/{system}/{INDEX}" not in manifest.files:
            raise BundleError(f"its {NAME} is damaged: it has no packages for {system[:100]!r}")
    return manifest

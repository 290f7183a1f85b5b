"""Container images in docker archives: what ``docker save`` and skopeo write and both runtimes load."""

import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HOST = re.compile(r"localhost|.*[.:].*")
_DOCKER_HUB = "docker.io"


class ImageArchiveError(Exception):
    """The file is no docker archive that nodes could load; the text says why."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.fix = fix


@dataclass(frozen=True)
class ImageArchive:
    """What is in a docker archive."""

    refs: tuple[str, ...]
    """Full references of its images, such as docker.io/library/busybox:1.36."""
    arch: str
    """Architecture of all of them, as the catalogue names it."""


def read_archive(path: Path) -> ImageArchive:
    """Look into a docker archive; only its headers and two small files in it are read.

    Raises:
        ImageArchiveError: It is none, is compressed, or its images have no names.
        OSError: It cannot be read.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            manifest = _document(tar, "manifest.json")
            refs = [_full(ref) for image in manifest for ref in image["RepoTags"] or ()]
            archs = {_document(tar, image["Config"])["architecture"] for image in manifest}
    except tarfile.ReadError:
        raise ImageArchiveError(
            "is no tar archive, or a compressed one", "unpack it first, with gunzip or the like"
        ) from None
    except (KeyError, TypeError, ValueError, tarfile.TarError):
        raise ImageArchiveError(
            "is no docker archive", "make one with docker save, or skopeo copy ... docker-archive:FILE:NAME"
        ) from None
    if not refs:
        raise ImageArchiveError(
            "holds images without names", "name them when you save them: docker save NAME:TAG"
        )
    if len(archs) > 1:
        raise ImageArchiveError("holds images of several architectures", "make one archive for each")
    return ImageArchive(tuple(dict.fromkeys(refs)), archs.pop())


def _document(tar: tarfile.TarFile, name: str) -> Any:
    member = tar.extractfile(name)
    if member is None:
        raise KeyError(name)
    return json.load(member)


def _full(ref: str) -> str:
    """A reference with its registry: Docker's own writes docker.io/library/NAME as NAME."""
    host, slash, _ = ref.partition("/")
    if slash and _HOST.fullmatch(host):
        return ref
    return f"{_DOCKER_HUB}/{ref}" if slash else f"{_DOCKER_HUB}/library/{ref}"

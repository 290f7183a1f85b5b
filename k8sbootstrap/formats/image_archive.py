"""Container images in docker archives: what ``docker save`` and skopeo write and both runtimes load."""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8sbootstrap.formats.archive import TarMember
from k8sbootstrap.formats.bounded import load_json

_HOST = re.compile(r"localhost|.*[.:].*")
_DOCKER_HUB = "docker.io"
_MAX_DOCUMENT = 16 << 20
"""Bytes of a JSON file in an archive that are read; real ones have a few thousand."""
_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


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


@dataclass(frozen=True)
class ImagePart:
    """The configuration of an image, or one of its layers, as a registry has it."""

    digest: str
    """``sha256:HEX`` of the content."""
    path: Path


def digest_of(content: bytes) -> str:
    """What registries call a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def write_archive(target: Path, ref: str, manifest: bytes, parts: Sequence[ImagePart]) -> None:
    """Write an image that came from a registry, to be loaded by any runtime; always the same bytes for it.

    It is an OCI layout and a docker archive at once: ``ctr images import`` reads ``index.json`` and so keeps
    the image's digest, docker reads ``manifest.json``.

    Args:
        target: The file.
        ref: Full reference that the image is loaded as.
        manifest: The image's manifest, byte for byte as the registry has it.
        parts: What the manifest lists: the configuration first, then the layers in order.

    Raises:
        OSError: The file can't be written, or a part not read.
    """
    paths = [f"blobs/{part.digest.replace(':', '/')}" for part in parts]
    digest = digest_of(manifest)
    described = {
        "mediaType": json.loads(manifest).get("mediaType", _OCI_MANIFEST),
        "digest": digest,
        "size": len(manifest),
        "annotations": {"io.containerd.image.name": ref, "org.opencontainers.image.ref.name": ref},
    }
    texts = {
        "oci-layout": json.dumps({"imageLayoutVersion": "1.0.0"}).encode(),
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [described]}).encode(),
        "manifest.json": json.dumps([{"Config": paths[0], "RepoTags": [ref], "Layers": paths[1:]}]).encode(),
        f"blobs/{digest.replace(':', '/')}": manifest,
    }
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, text in texts.items():
            tar.addfile(_member(name, len(text)), io.BytesIO(text))
        for name, path in dict(zip(paths, (part.path for part in parts), strict=True)).items():
            with path.open("rb") as content:
                tar.addfile(_member(name, path.stat().st_size), content)


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info


def read_archive(path: Path) -> ImageArchive:
    """Look into a docker archive; only its headers and two small files in it are read.

    Raises:
        ImageArchiveError: It is none, is compressed, or its images have no names.
        OSError: It cannot be read.
    """
    try:
        with tarfile.open(path, "r:", tarinfo=TarMember) as tar:
            manifest = _document(tar, "manifest.json")
            refs = [_full(ref) for image in manifest for ref in image["RepoTags"] or ()]
            archs = {_document(tar, image["Config"])["architecture"] for image in manifest}
    except tarfile.ReadError:
        raise ImageArchiveError(
            "is not a tar archive, or is compressed",
            "if it is compressed, unpack it first, for example with gunzip",
        ) from None
    except (KeyError, TypeError, ValueError, tarfile.TarError):
        raise ImageArchiveError(
            "is not a docker archive",
            "make one with docker save, or skopeo copy ... docker-archive:FILE:NAME",
        ) from None
    if not refs:
        raise ImageArchiveError(
            "contains images without names", "save them with their names: docker save NAME:TAG"
        )
    if len(archs) > 1:
        raise ImageArchiveError(
            "contains images of several architectures", "make one archive for each architecture"
        )
    return ImageArchive(tuple(dict.fromkeys(refs)), archs.pop())


def _document(tar: tarfile.TarFile, name: str) -> Any:
    member = tar.extractfile(name)
    if member is None:
        raise KeyError(name)
    return load_json(member.read(_MAX_DOCUMENT))


def _full(ref: str) -> str:
    """A reference with its registry: Docker's own writes docker.io/library/NAME as NAME."""
    host, slash, _ = ref.partition("/")
    if slash and _HOST.fullmatch(host):
        return ref
    return f"{_DOCKER_HUB}/{ref}" if slash else f"{_DOCKER_HUB}/library/{ref}"

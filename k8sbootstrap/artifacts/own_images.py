"""The images that cluster.yaml names, to be loaded on nodes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.artifacts.cache import Cache
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.errors import ConfigError, Problem
from k8sbootstrap.formats.image_archive import ImageArchiveError, read_archive


@dataclass(frozen=True)
class OwnImage:
    """One image in a docker archive of this machine."""

    ref: str
    arch: str
    path: Path
    sha256: str
    """Of the archive."""


def own_images(files: Sequence[Path], base: Path, cache: Path) -> list[OwnImage]:
    """Look into image archives.

    Args:
        files: ``runtime.images`` of cluster.yaml.
        base: The folder of cluster.yaml.
        cache: Cache directory; it remembers the hashes of files that did not change.

    Raises:
        ConfigError: A file can't be read, or is no archive of images any more.
    """
    hashes = Cache(cache)
    images = [image for file in files for image in _images(local_path(file, base), hashes)]
    hashes.save()
    return images


def _images(path: Path, hashes: Cache) -> Iterator[OwnImage]:
    try:
        archive = read_archive(path)
        sha256 = hashes.hash_of(path)
    except ImageArchiveError as exc:
        raise ConfigError([Problem(path, 0, "", str(exc), exc.fix)]) from exc
    except OSError as exc:
        raise ConfigError([Problem(path, 0, "", f"cannot be read: {exc.strerror}", "")]) from exc
    for ref in archive.refs:
        yield OwnImage(ref, archive.arch, path, sha256)

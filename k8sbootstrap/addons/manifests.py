"""``manifests`` of cluster.yaml: files, directories and URLs with objects of the user's."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from k8sbootstrap.addons.objects import ObjectError, Sourced, read_objects
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.config.models import DirectoryManifest, FileManifest, Manifest, UrlManifest
from k8sbootstrap.config.paths import local_path

SUFFIXES = (".json", ".yaml", ".yml")


def local_objects(manifest: FileManifest | DirectoryManifest, base: Path) -> list[Sourced]:
    """The objects in a file, or in all files of a directory and its subdirectories, by path.

    Args:
        manifest: What cluster.yaml names.
        base: The folder of cluster.yaml.

    Raises:
        ObjectError: A file can't be read, or does not hold objects.
    """
    if isinstance(manifest, FileManifest):
        return _of_file(local_path(manifest.file, base), str(manifest.file))
    top = local_path(manifest.directory, base)
    found: list[Sourced] = []
    for path in files_of(top):
        found += _of_file(path, f"{manifest.directory}/{path.relative_to(top)}")
    return found


def files_of(directory: Path) -> list[Path]:
    """The manifests in a directory and its subdirectories."""
    return sorted(path for path in directory.rglob("*") if path.suffix in SUFFIXES and path.is_file())


def remote_file(manifest: UrlManifest) -> ArtifactFile:
    """A manifest behind a URL as a file to fetch."""
    return ArtifactFile(
        name="manifests",
        version=manifest.sha256[:12],
        arch="any",
        file=manifest.url.rpartition("/")[2].partition("?")[0] or "manifest.yaml",
        sha256=manifest.sha256,
        url=manifest.url,
        known_by="cluster.yaml",
    )


def all_objects(
    manifests: Sequence[Manifest], base: Path, fetched: Mapping[str, Path]
) -> Iterator[list[Sourced]]:
    """The objects of each manifest.

    Args:
        manifests: What cluster.yaml names.
        base: Its folder.
        fetched: ``ArtifactFile.key`` to where the file is, for those behind URLs.

    Raises:
        ObjectError: A file can't be read, or does not hold objects.
    """
    for manifest in manifests:
        if isinstance(manifest, UrlManifest):
            yield _of_file(fetched[remote_file(manifest).key], manifest.url)
        else:
            yield local_objects(manifest, base)


def _of_file(path: Path, source: str) -> list[Sourced]:
    try:
        return read_objects(path.read_text(encoding="utf-8"), source)
    except OSError as exc:
        raise ObjectError(f"{source} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ObjectError(f"{source} is not UTF-8 text") from exc

"""Files and directories of cluster.yaml's ``manifests``, read."""

from pathlib import Path

from k8sbootstrap.config.models.addons import DirectoryManifest, FileManifest
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.formats.objects import Sourced, read_file

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
        return read_file(local_path(manifest.file, base), str(manifest.file))
    top = local_path(manifest.directory, base)
    found: list[Sourced] = []
    for path in files_of(top):
        found += read_file(path, f"{manifest.directory}/{path.relative_to(top)}")
    return found


def files_of(directory: Path) -> list[Path]:
    """The manifests in a directory and its subdirectories."""
    return sorted(path for path in directory.rglob("*") if path.suffix in SUFFIXES and path.is_file())

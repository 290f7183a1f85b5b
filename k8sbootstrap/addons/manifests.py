"""``manifests`` of cluster.yaml: files, directories, URLs and charts with objects of the user's."""

from collections.abc import Mapping
from pathlib import Path

from k8sbootstrap.addons.helm import Chart
from k8sbootstrap.addons.objects import ObjectError, Sourced, read_objects
from k8sbootstrap.catalog.models import ArtifactFile, RepositoryChart
from k8sbootstrap.config.models.addons import ChartManifest, DirectoryManifest, FileManifest, UrlManifest
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.formats.text import without_logins

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


def chart_file(manifest: ChartManifest) -> ArtifactFile | None:
    """A chart of a repository as a file to fetch; None for one that is on this machine."""
    if not (manifest.repository and manifest.version and manifest.sha256):
        return None
    return ArtifactFile(
        name="charts",
        version=manifest.sha256[:12],
        arch="any",
        file=f"{manifest.chart}-{manifest.version}.tgz",
        sha256=manifest.sha256,
        known_by="cluster.yaml",
        chart=RepositoryChart(manifest.repository, str(manifest.chart), manifest.version),
    )


def chart_of(manifest: ChartManifest, base: Path, fetched: Mapping[str, Path]) -> Chart:
    """A chart to render.

    Args:
        manifest: What cluster.yaml names.
        base: Its folder.
        fetched: ``ArtifactFile.key`` to where the file is, for charts of repositories.
    """
    file = chart_file(manifest)
    return Chart(
        path=fetched[file.key] if file else local_path(manifest.chart, base),
        release=manifest.release,
        namespace=manifest.namespace,
        values_files=[local_path(each, base) for each in manifest.values_files],
        values=manifest.values,
    )


def url_objects(manifest: UrlManifest, fetched: Mapping[str, Path]) -> list[Sourced]:
    """The objects behind a URL.

    Args:
        manifest: What cluster.yaml names.
        fetched: ``ArtifactFile.key`` to where the file is.

    Raises:
        ObjectError: The file can't be read, or does not hold objects.
    """
    return _of_file(fetched[remote_file(manifest).key], without_logins(manifest.url))


def _of_file(path: Path, source: str) -> list[Sourced]:
    try:
        return read_objects(path.read_text(encoding="utf-8"), source)
    except OSError as exc:
        raise ObjectError(f"{source} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ObjectError(f"{source} is not UTF-8 text") from exc

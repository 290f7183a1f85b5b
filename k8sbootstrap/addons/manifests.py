"""``manifests`` of cluster.yaml: files, directories, URLs and charts with objects of the user's."""

from collections.abc import Mapping
from pathlib import Path

from k8sbootstrap.addons.helm import Chart
from k8sbootstrap.catalog.models import ArtifactFile, RepositoryChart
from k8sbootstrap.config.models.addons import ChartManifest, UrlManifest
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.formats.objects import Sourced, read_file
from k8sbootstrap.formats.text import without_logins


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
    return read_file(fetched[remote_file(manifest).key], without_logins(manifest.url))

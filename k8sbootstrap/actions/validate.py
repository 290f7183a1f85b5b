"""What ``validate`` tells of a valid cluster.yaml, with the files that are on this machine."""

import tempfile
from pathlib import Path

from k8sbootstrap.addons import user_manifests
from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.artifacts.fetch import fetch_all
from k8sbootstrap.catalog.resolve import newest_like
from k8sbootstrap.config.models.addons import ChartManifest, UrlManifest
from k8sbootstrap.config.models.artifacts import DirectorySource
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.state import State


def validate_files(config: Cluster, cluster_file: Path) -> list[str]:
    """Read manifests that were fetched earlier, and render charts as ``up`` does. Leaves nothing behind.

    Args:
        config: The cluster.
        cluster_file: cluster.yaml.

    Returns:
        What the user should know, such as a release that the catalogue does not have, and what could not be
        looked into.

    Raises:
        ArtifactError: A file has a wrong hash.
        ConfigError: Something can't be read or rendered.
    """
    return [*_newer_than_catalogue(config), *_validate_manifests(config, cluster_file)]


def _newer_than_catalogue(config: Cluster) -> list[str]:
    version = config.kubernetes.version
    like = newest_like(version)
    if not like or version in config.releases:
        return []
    return [f"Kubernetes {version} is newer than the release catalogue: it gets what goes with {like}."]


def _validate_manifests(config: Cluster, cluster_file: Path) -> list[str]:
    if not any(isinstance(each, ChartManifest | UrlManifest) for each in config.manifests):
        return []
    state = State.beside(cluster_file, config.name)
    here = [source for source in config.artifacts.sources if isinstance(source, DirectorySource)]
    with tempfile.TemporaryDirectory(prefix="k8sbootstrap-") as name:
        scratch = state.copied_to(Path(name), "charts", "artifact_pins")
        files = fetch_all(
            [],
            config.artifacts.model_copy(update={"sources": here, "upstream": False}),
            scratch,
            cluster_file.resolve().parent,
            cache_dir(),
            optional=user_manifests.files(config.manifests),
        )
        fetched = {key: file.path for key, file in files.items()}
        charts = user_manifests.renderer(config, fetched, scratch.charts)
        entries = user_manifests.entries(config, cluster_file, fetched, charts)
    return [note for entry in entries for note in entry.notes]

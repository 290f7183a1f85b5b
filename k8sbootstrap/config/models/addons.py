"""Kubernetes objects of the user's own: manifests and Helm charts."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from k8sbootstrap.config.models.base import (
    ChartVersion,
    DnsLabel,
    HttpUrl,
    Model,
    ReleaseName,
    Sha256,
    chosen_by,
    variant,
)


class FileManifest(Model):
    """A file on the controller with Kubernetes objects, in YAML or JSON."""

    file: Path
    """Path of the file, relative to cluster.yaml; ~ is expanded."""


class DirectoryManifest(Model):
    """A directory on the controller with such files."""

    directory: Path
    """Path of the directory, relative to cluster.yaml; ~ is expanded. Its .yaml, .yml and .json files, and
    those of its subdirectories, are applied in the order of their paths."""


class UrlManifest(Model):
    """Such a file on an HTTP(S) server."""

    url: HttpUrl
    """Address of the file."""
    sha256: Sha256
    """Its sha256, 64 hexadecimal digits."""


class ChartManifest(Model):
    """A Helm chart. It is rendered on the controller, and its objects are applied as any others."""

    chart: Path
    """Name of the chart in its repository. Without a repository: its folder or .tgz file on the controller,
    relative to cluster.yaml; ~ is expanded."""
    repository: HttpUrl | None = None
    """Address of the Helm repository, without index.yaml."""
    version: ChartVersion | None = None
    """Version of the chart in the repository."""
    sha256: Sha256 | None = None
    """sha256 of the chart's .tgz file in the repository, 64 hexadecimal digits."""
    release: ReleaseName
    """Name of the release, as in helm install."""
    namespace: DnsLabel = "default"
    """Namespace of the release. It is made where no manifest describes it, and stays when the chart is
    removed."""
    values_files: list[Path] = Field(default_factory=list)
    """YAML files with values, relative to cluster.yaml; ~ is expanded. Later ones win."""
    values: dict[str, Any] = Field(default_factory=dict)
    """Values; they win over those in files."""


Manifest = Annotated[
    Annotated[FileManifest, Tag(variant("file"))]
    | Annotated[DirectoryManifest, Tag(variant("directory"))]
    | Annotated[UrlManifest, Tag(variant("url"))]
    | Annotated[ChartManifest, Tag(variant("chart"))],
    Discriminator(
        chosen_by("file", "directory", "url", "chart"),
        custom_error_type="one_of",
        custom_error_message="file, directory, url, chart",
    ),
]

"""Where the files to install come from."""

from pathlib import Path
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from k8sbootstrap.config.models.base import HttpUrl, Model, Sha256, chosen_by, variant


class DirectorySource(Model):
    """A directory on the controller with files laid out as NAME/VERSION/ARCH/FILE."""

    directory: Path
    """Path of the directory, relative to cluster.yaml; ~ is expanded."""
    own_builds: Sha256 | None = None
    """sha256 of the directory's SHA256SUMS, if its files are your own builds: what it lists counts before the
    release catalogue then. Default: the catalogue counts first."""


class MirrorSource(Model):
    """An HTTP(S) server with files laid out as NAME/VERSION/ARCH/FILE."""

    url: HttpUrl
    """Base URL. Hosts fetch from it themselves where they can reach it."""
    own_builds: Sha256 | None = None
    """sha256 of the mirror's SHA256SUMS, if its files are your own builds: what it lists counts before the
    release catalogue then. Default: the catalogue counts first."""


Source = Annotated[
    Annotated[DirectorySource, Tag(variant("directory"))] | Annotated[MirrorSource, Tag(variant("url"))],
    Discriminator(
        chosen_by("directory", "url"), custom_error_type="one_of", custom_error_message="directory, url"
    ),
]


class Artifacts(Model):
    """Where the files to install come from: the local cache first, then sources in order, then upstream."""

    sources: list[Source] = Field(default_factory=list)
    """Directories and mirrors, asked in this order before upstream."""
    upstream: bool = True
    """Whether files that no source has may be fetched from the projects' own release sites."""
    bundle: Path | None = None
    """A file made by "k8sbootstrap bundle create", relative to cluster.yaml; ~ is expanded. All files and
    distribution packages come from it then, and nothing else is asked."""
    bundle_manifest: Sha256 | None = Field(default=None, alias="bundleManifestSHA256")
    """sha256 of the bundle's manifest, as "k8sbootstrap bundle inspect" prints it. No other bundle is taken
    then, and what it lists counts before the release catalogue. Needed where a bundle holds own builds."""
    allow_unknown: bool = False
    """Whether files are taken that the catalogue, cluster.yaml, upstream and lists have no hash of. They are
    named and pinned: from then on no other file is taken in their place."""

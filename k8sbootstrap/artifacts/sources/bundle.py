"""A bundle as the place that files to install come from."""

from collections.abc import Mapping

from k8sbootstrap.artifacts.bundle.reader import Bundle
from k8sbootstrap.artifacts.cache import Cache
from k8sbootstrap.artifacts.sources.base import (
    AbsentError,
    Expected,
    Obtained,
    Report,
    Source,
    SourceError,
    compare,
)
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.errors import BundleError
from k8sbootstrap.formats.archive import copy_out


class BundleSource(Source):
    """A bundle. What is asked for is copied into the cache, for it is sent to hosts from there.

    Args:
        bundle: The bundle; its manifest counts as its SHA256SUMS.
        cache: Takes what is copied.
        manifest: sha256 of its manifest, where cluster.yaml says which bundle is the right one.

    Raises:
        BundleError: It is another bundle.
    """

    own_build_reason = "bundle"

    def __init__(self, bundle: Bundle, cache: Cache, manifest: str | None = None) -> None:
        self.label = str(bundle.path)
        self.own_builds = manifest is not None
        if manifest not in {None, bundle.manifest.sha256}:
            raise BundleError(
                f"{bundle.path} is a different bundle: its manifest has sha256 "
                f"{bundle.manifest.sha256}, but artifacts.bundleManifestSHA256 in cluster.yaml is "
                f"{manifest}",
                hint="Use the right bundle. Or, if this is the right one, write its hash into cluster.yaml.",
            )
        self._bundle = bundle
        self._cache = cache
        self._sums = {path: entry.sha256 for path, entry in bundle.manifest.files.items()}

    def sums(self) -> Mapping[str, str]:
        """See ``Source.sums``."""
        return self._sums

    @property
    def to_allow(self) -> str:
        """See ``Source.to_allow``."""
        return f'"bundleManifestSHA256: {self._bundle.manifest.sha256}" under artifacts'

    def size(self, file: ArtifactFile) -> int | None:
        """See ``Source.size``."""
        entry = self._bundle.manifest.files.get(file.key)
        return entry.size if entry else None

    def obtain(self, file: ArtifactFile, expected: Expected | None, report: Report) -> Obtained:
        """See ``Source.obtain``."""
        if file.key not in self._sums:
            raise AbsentError("not in it")
        size = self._bundle.manifest.files[file.key].size
        try:
            with self._cache.temporary() as temporary, self._bundle.open(file.key) as content:
                report(0, size)
                sha256 = copy_out(content, temporary, size)
                report(size, size)
                compare(sha256, expected)
                return Obtained(self._cache.store(temporary, file, sha256), sha256)
        except BundleError as exc:
            raise SourceError(str(exc)) from exc

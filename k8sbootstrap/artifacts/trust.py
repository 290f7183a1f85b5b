"""Which hash a file must have, and which authority it comes from."""

from collections.abc import Sequence

from k8sbootstrap.artifacts.cache import Cache
from k8sbootstrap.artifacts.pins import Pin, Pins
from k8sbootstrap.artifacts.sources.base import Expected, Obtained, RefusedError, Source, SourceError
from k8sbootstrap.artifacts.sources.upstream import UpstreamSource
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.catalog.resolve import OWN_FILE


class Trust:
    """Decides which hash a file must have, and records the hash that was accepted.

    Args:
        named: The sources of cluster.yaml, in order.
        pins: The cluster's pins.
        cache: Knows which hashes upstream confirmed in earlier runs.
        upstream: The projects' release sites; None where they must not be asked.
        allow_unknown: Whether files are accepted whose hash no authority has.
    """

    def __init__(
        self,
        named: Sequence[Source],
        pins: Pins,
        cache: Cache,
        upstream: UpstreamSource | None,
        *,
        allow_unknown: bool,
    ) -> None:
        self._named = named
        self._pins = pins
        self._cache = cache
        self._upstream = upstream
        self._allow_unknown = allow_unknown
        self._published: dict[str, Expected | None] = {}

    def expected(self, file: ArtifactFile) -> Expected | None:
        """The hash that ``file`` must have, from the best authority that has it; None when none has.

        In order: cluster.yaml, where it names the file; a list of own builds, whose hash is in cluster.yaml;
        the catalogue; the cluster's pin; upstream's checksum, of this run or an earlier one; a source's list.
        For a program that runs on this machine only the catalogue and upstream count.
        """
        if file.runs_on_controller:
            return _catalogued(file)
        if file.sha256 and file.known_by == OWN_FILE:
            return _catalogued(file)
        return self._own_build(file) or _catalogued(file) or self._pinned(file) or self._unknown(file)

    def require_known(self, file: ArtifactFile, found: Obtained, expected: Expected | None) -> None:
        """Refuse a file that nobody vouches for, unless cluster.yaml allows it.

        Raises:
            RefusedError: It is refused; names its hash.
        """
        if expected is not None or found.vouched or (self._allow_unknown and not file.runs_on_controller):
            return
        raise RefusedError(
            f"refused: it has sha256 {found.sha256}, which is not in the catalogue, in "
            "cluster.yaml or in upstream's checksums"
        )

    def other_build(self, file: ArtifactFile, expected: Expected | None) -> Source | None:
        """A source whose list has another build than upstream's, which is the right one.

        It may be the build that the cluster runs: to take upstream's from the next place would swap them.
        """
        if expected is None or expected.listed_by or expected.pinned:
            return None
        return next(
            (
                source
                for source in self._named
                if not source.own_builds and listed_hash(source, file) not in {None, expected.sha256}
            ),
            None,
        )

    def record(self, file: ArtifactFile, found: Obtained, source: str, expected: Expected | None) -> None:
        """Record what confirmed the hash of a file, so that later runs require the same.

        Args:
            file: What was asked for.
            found: The file that was obtained; its hash agrees with ``expected``.
            source: Label of the place that it came from.
            expected: The hash that was required, if any.
        """
        vouched = found.vouched or (expected is not None and expected.published)
        if vouched:
            self._cache.remember_verified(file, found.sha256)
            if file.url_sha256 is None and not (expected and not expected.published):
                self._pins.set(file.key, Pin(found.sha256, found.place or source, "upstream checksum"))
        elif expected is None:
            self._pins.set(file.key, Pin(found.sha256, found.place or source, "first use"))
        elif expected.listed_by and found.sha256 != file.sha256:
            by = expected.listed_by
            reason = by.own_build_reason if by.own_builds else "SHA256SUMS"
            self._pins.set(file.key, Pin(found.sha256, by.label, reason))

    def _own_build(self, file: ArtifactFile) -> Expected | None:
        for source in self._named:
            if source.own_builds and (sha256 := listed_hash(source, file)):
                return Expected(sha256, f"as the list of {source.label} says", listed_by=source)
        pin = self._pins.get(file.key)
        if pin is None:
            return None
        # A source that is down, or a bundle that was put away, does not change which build a cluster runs.
        named = {source.label for source in self._named if source.own_builds}
        if pin.reason == "bundle" or (pin.reason == "own build" and pin.source in named):
            return Expected(pin.sha256, f"as an earlier list of {pin.source} says", pinned=True)
        return None

    def _pinned(self, file: ArtifactFile) -> Expected | None:
        pin = self._pins.get(file.key)
        if pin is None or pin.reason == "own build":
            return None
        return Expected(pin.sha256, f"as pinned at the first download from {pin.source}", pinned=True)

    def _unknown(self, file: ArtifactFile) -> Expected | None:
        """The hash of a file that cluster.yaml and the catalogue do not know and that is not pinned."""
        if verified := self._cache.verified(file):
            return Expected(verified, "as in the release of upstream")
        if self._upstream:
            if file.key not in self._published:
                self._published[file.key] = self._upstream.published(file)
            if published := self._published[file.key]:
                return published
        for source in self._named:
            if source.list_counts and (sha256 := listed_hash(source, file)):
                return Expected(sha256, f"as SHA256SUMS of {source.label} says", listed_by=source)
        return None


def _catalogued(file: ArtifactFile) -> Expected | None:
    return Expected(file.sha256, f"as {file.known_by} says") if file.sha256 else None


def listed_hash(source: Source, file: ArtifactFile) -> str | None:
    """The hash that a source's list has for a file; None where it has none, or can't be read."""
    try:
        return source.sums().get(file.key)
    except SourceError:
        return None

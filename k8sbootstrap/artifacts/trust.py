"""Which hash a file must have, and who says so."""

from collections.abc import Sequence

from k8sbootstrap.artifacts.cache import Cache
from k8sbootstrap.artifacts.pins import Pin, Pins
from k8sbootstrap.artifacts.source import Expected, Obtained, Source, SourceError
from k8sbootstrap.catalog.models import ArtifactFile


class Trust:
    """Decides before a file is looked for, and remembers afterwards what was believed.

    Args:
        named: The sources of cluster.yaml, in order.
        pins: The cluster's pins.
        cache: Knows which hashes upstream vouched for in earlier runs.
    """

    def __init__(self, named: Sequence[Source], pins: Pins, cache: Cache) -> None:
        self._named = named
        self._pins = pins
        self._cache = cache

    def expected(self, file: ArtifactFile) -> Expected | None:
        """The hash that ``file`` must have, by whoever knows best; None when nobody knows it.

        In order: SHA256SUMS of a source, so that users can bring their own builds; the release catalogue; the
        cluster's pin, first of all one that a bundle left; what upstream's checksum said in an earlier run.
        """
        for source in self._named:
            if sha256 := _listed(source, file):
                return Expected(sha256, f"as SHA256SUMS of {source.label} says", listed_by=source)
        pin = self._pins.get(file.key)
        if pin and pin.reason == "SHA256SUMS":
            # A source that is down for once does not change which build a cluster runs.
            if pin.source in {source.label for source in self._named}:
                return Expected(pin.sha256, f"as SHA256SUMS of {pin.source} said earlier", pinned=True)
            pin = None
        if pin and pin.reason == "bundle":  # holds when the bundle is put away
            return Expected(pin.sha256, f"as {pin.source} said earlier", pinned=True)
        return self._published(file, pin)

    def _published(self, file: ArtifactFile, pin: Pin | None) -> Expected | None:
        if file.sha256:
            return Expected(file.sha256, f"as {file.known_by} says")
        if pin:
            return Expected(pin.sha256, f"as pinned when it first came from {pin.source}", pinned=True)
        if verified := self._cache.verified(file):
            return Expected(verified, "as in upstream's release")
        return None

    def learn(self, file: ArtifactFile, found: Obtained, source: str, expected: Expected | None) -> None:
        """Remember what vouches for a file, so that later runs hold it to that.

        Args:
            file: What was asked for.
            found: What was had, and agrees with ``expected``.
            source: Label of the place that gave it.
            expected: What was decided before.
        """
        if found.vouched:
            self._cache.remember_verified(file, found.sha256)
        if expected is None:
            if not found.vouched:
                self._pins.set(file.key, Pin(found.sha256, found.place or source, "first use"))
            elif file.url_sha256 is None:
                self._pins.set(file.key, Pin(found.sha256, source, "upstream checksum"))
        elif expected.listed_by and found.sha256 != file.sha256:
            self._pins.set(
                file.key, Pin(found.sha256, expected.listed_by.label, expected.listed_by.pin_reason)
            )


def _listed(source: Source, file: ArtifactFile) -> str | None:
    try:
        return source.sums().get(file.key)
    except SourceError:
        return None

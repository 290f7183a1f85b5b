"""Image registries as the place that images come from: pulled as a runtime pulls them, kept as an archive."""

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from k8sbootstrap.artifacts.cache import Cache
from k8sbootstrap.artifacts.pins import Pins
from k8sbootstrap.artifacts.registry_web import RegistryWeb
from k8sbootstrap.artifacts.sources.base import (
    AbsentError,
    Expected,
    Obtained,
    RefusedError,
    Report,
    Source,
    SourceError,
    compare,
    downloaded,
)
from k8sbootstrap.artifacts.web import NotThereError, WebError
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.config.models.network import Proxy
from k8sbootstrap.formats import limits
from k8sbootstrap.formats.bounded import load_json
from k8sbootstrap.formats.image_archive import ImagePart, digest_of, write_archive
from k8sbootstrap.formats.image_names import registry_host
from k8sbootstrap.plan.registries import RegistryPlan, endpoints

_UNKNOWN = "runtimes do not support its manifest"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class RegistryImages:
    """Images that may be pulled, and how registries are reached."""

    refs: Mapping[str, str]
    """Full reference of each image, by ``ArtifactFile.key``."""
    registries: Sequence[RegistryPlan]
    logins: Mapping[str, str]
    """base64 of USER:PASSWORD, by the registry's host."""
    all: bool
    """Whether registries may be asked that cluster.yaml does not name under runtime.registries."""


class RegistriesSource(Source):
    """The registries that images are named after, and their mirrors.

    Args:
        images: What may be asked for.
        cache: Takes archives, and the parts of images while they are put together.
        pins: Say which image a tag meant when it was first pulled: that one is asked for again.
        proxy: The cluster's proxy settings.
        stopped: Ends downloads when set.
    """

    label = "image registries"

    def __init__(
        self, images: RegistryImages, cache: Cache, pins: Pins, proxy: Proxy, stopped: threading.Event
    ) -> None:
        self._images = images
        self._cache = cache
        self._pins = pins
        self._proxy = proxy
        self._stopped = stopped
        self._webs: dict[str, RegistryWeb] = {}
        self._lock = threading.Lock()

    def obtain(self, file: ArtifactFile, expected: Expected | None, report: Report) -> Obtained:
        """See ``Source.obtain``."""
        ref = self._images.refs.get(file.key)
        if ref is None:
            raise AbsentError("no image")
        host, _, rest = ref.partition("/")
        if not self._images.all and all(registry.host != host for registry in self._images.registries):
            raise AbsentError("not used, because artifacts.upstream is false")
        repository, _, tag = rest.rpartition(":")
        pin = self._pins.get(file.key)
        digest = pin.source.partition("@")[2] if pin and pin.source.startswith(f"{ref}@") else ""
        answers = []
        for url, web in self._endpoints(host):
            place = _Place(web, self._cache, f"{url}/{repository}", file.arch)
            try:
                image = place.pull(digest or tag, report)
            except SourceError as exc:
                answers.append((registry_host(url), exc))
                continue
            return self._keep(image, ref, file, expected, vouched=url.startswith("https://"))
        kind = AbsentError if all(isinstance(exc, AbsentError) for _, exc in answers) else SourceError
        kind = RefusedError if any(isinstance(exc, RefusedError) for _, exc in answers) else kind
        raise kind("; ".join(f"{name}: {exc}" for name, exc in answers))

    def _keep(
        self, image: "_Image", ref: str, file: ArtifactFile, expected: Expected | None, *, vouched: bool
    ) -> Obtained:
        with self._cache.temporary() as temporary:
            write_archive(temporary, ref, image.manifest, image.parts)
            with temporary.open("rb") as archive:
                sha256 = hashlib.file_digest(archive, "sha256").hexdigest()
            place = f"{ref}@{digest_of(image.manifest)}"
            compare(sha256, expected, f"the archive of {place}")
            return Obtained(self._cache.store(temporary, file, sha256), sha256, vouched=vouched, place=place)

    def _endpoints(self, host: str) -> Iterator[tuple[str, RegistryWeb]]:
        for url, name, ca in endpoints(self._images.registries, host):
            with self._lock:
                if url not in self._webs:
                    login = self._images.logins.get(name)
                    self._webs[url] = RegistryWeb(self._proxy, self._stopped, login, ca)
            yield url, self._webs[url]


@dataclass(frozen=True)
class _Image:
    manifest: bytes
    parts: Sequence[ImagePart]
    """Its configuration first, then its layers in order."""


@dataclass(frozen=True)
class _Place:
    """One repository of one registry."""

    web: RegistryWeb
    cache: Cache
    url: str
    arch: str

    def pull(self, reference: str, report: Report) -> _Image:
        """Get an image, every part of it checked against its digest.

        Raises:
            SourceError: It can't be had here.
        """
        try:
            content = self._manifest(reference)
            document = load_json(content)
            if isinstance(document.get("manifests"), list):
                content = self._manifest(self._of_platform(document["manifests"]))
                document = load_json(content)
            wanted = [document["config"], *document["layers"]]
            whole = _whole(wanted)
            parts, before = [], 0
            for each in wanted:
                parts.append(self._part(each, _shifted(report, before, whole)))
                before += each["size"]
            arch = load_json(parts[0].path.read_bytes())["architecture"]
        except (LookupError, TypeError, AttributeError, ValueError) as exc:
            raise SourceError(_UNKNOWN) from exc
        if arch != self.arch:
            raise AbsentError(f"the image is for {arch}, not for {self.arch}")
        return _Image(content, parts)

    def _manifest(self, reference: str) -> bytes:
        with _as_source_error():
            content = self.web.content(f"{self.url}/manifests/{reference}")
        if reference.startswith("sha256:") and digest_of(content) != reference:
            raise RefusedError(
                f"refused: the manifest has the digest {digest_of(content)} and must have {reference}"
            )
        return content

    def _of_platform(self, manifests: list[dict[str, Any]]) -> str:
        for each in manifests:
            platform = each.get("platform", {})
            if platform.get("os") == "linux" and platform.get("architecture") == self.arch:
                return _digest(each)
        raise AbsentError(f"there is no image for {self.arch}")

    def _part(self, described: Mapping[str, Any], report: Report) -> ImagePart:
        """A part of an image, from the cache where another image or an earlier run left it."""
        digest = _digest(described)
        expected = Expected(digest.removeprefix("sha256:"), "as the image's manifest says")
        kept = self.cache.part(digest)
        if kept is None:
            url = f"{self.url}/blobs/{digest}"
            with downloaded(
                self.web, self.cache, url, expected, report, most=described["size"], what="one of its parts"
            ) as (path, _):
                kept = self.cache.keep_part(path, digest)
        return ImagePart(digest, kept)


def _digest(described: Mapping[str, Any]) -> str:
    """The digest of a manifest or part, by which it can be checked.

    Raises:
        ValueError: It is none.
    """
    digest = str(described["digest"])
    if not _DIGEST.fullmatch(digest):
        raise ValueError(digest)
    return digest


def _whole(wanted: Sequence[Mapping[str, Any]]) -> int:
    """Bytes of an image's configuration, which comes first, and layers.

    Raises:
        SourceError: They are more than any image has.
        ValueError: They are no sizes.
    """
    sizes = [each["size"] for each in wanted]
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError(sizes)
    if sum(sizes) > limits.IMAGE or sizes[0] > limits.TEXT:
        raise SourceError(
            f"it has {sum(sizes):,} bytes, {sizes[0]:,} of them its configuration; the limits "
            f"are {limits.IMAGE:,} and {limits.TEXT:,}"
        )
    return sum(sizes)


def _shifted(report: Report, before: int, whole: int) -> Report:
    return lambda received, _total: report(before + received, whole)


@contextmanager
def _as_source_error() -> Iterator[None]:
    try:
        yield
    except NotThereError as exc:
        raise AbsentError(str(exc)) from exc
    except WebError as exc:
        raise SourceError(str(exc)) from exc

"""The places that users name in cluster.yaml: directories on the controller, and mirrors."""

import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from urllib3.util import parse_url

from k8sbootstrap.artifacts.cache import Cache
from k8sbootstrap.artifacts.sources.base import (
    SUMS,
    AbsentError,
    Expected,
    Obtained,
    Report,
    Source,
    SourceError,
    compare,
    downloaded,
    hash_of_list,
    largest,
    parse_sums,
    require_list,
    text,
)
from k8sbootstrap.artifacts.web import Web
from k8sbootstrap.catalog.models import ArtifactFile


class LocalDirectory(Source):
    """A directory of the controller. Its files are used where they are, and never changed.

    Args:
        directory: Absolute path of it.
        cache: Remembers hashes.
        own_builds: sha256 of its SHA256SUMS, where its files are the user's own builds.
    """

    def __init__(self, directory: Path, cache: Cache, own_builds: str | None = None) -> None:
        self.label = str(directory)
        self.own_builds = own_builds is not None
        self._wanted_list = own_builds
        self._directory = directory
        self._cache = cache

    def sums(self) -> Mapping[str, str]:
        """See ``Source.sums``."""
        return self._sums

    @cached_property
    def _sums(self) -> Mapping[str, str]:
        if not self._directory.is_dir():
            raise SourceError("no such directory")
        try:
            content = (self._directory / SUMS).read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as exc:
            raise SourceError(f"{SUMS} cannot be read: {exc.strerror}") from exc
        self.list_sha256 = hash_of_list(content)
        if self._wanted_list:
            require_list(self, self._wanted_list, self.list_sha256)
        return parse_sums(content.decode(errors="replace"))

    def size(self, file: ArtifactFile) -> int | None:
        """See ``Source.size``."""
        return 0 if (self._directory / file.key).exists() else None

    def obtain(self, file: ArtifactFile, expected: Expected | None, report: Report) -> Obtained:  # noqa: ARG002
        """See ``Source.obtain``."""
        self.sums()
        path = self._directory / file.key
        try:
            sha256 = self._cache.hash_of(path)
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise AbsentError("not there") from exc
        except OSError as exc:
            raise SourceError(f"cannot be read: {exc.strerror}") from exc
        compare(sha256, expected)
        return Obtained(path, sha256)


class WebMirror(Source):
    """An HTTP server with the same layout.

    Args:
        url: Its base URL; user and password in it are used, and shown to nobody.
        web: HTTP client of the run.
        cache: Takes what is downloaded.
        own_builds: sha256 of its SHA256SUMS, where its files are the user's own builds.
    """

    def __init__(self, url: str, web: Web, cache: Cache, own_builds: str | None = None) -> None:
        self.own_builds = own_builds is not None
        self._wanted_list = own_builds
        self.list_counts = url.startswith("https://")
        self._url = url.rstrip("/")
        parsed = parse_url(self._url)
        self._has_secret = parsed.auth is not None
        self.label = parsed._replace(auth=None).url
        self._web = web
        self._cache = cache
        self._lock = threading.Lock()
        self._known_sums: Mapping[str, str] | SourceError | None = None

    def sums(self) -> Mapping[str, str]:
        """See ``Source.sums``. Asked once."""
        with self._lock:
            if self._known_sums is None:
                try:
                    self._known_sums = self._read_list()
                except SourceError as exc:
                    self._known_sums = exc
            if isinstance(self._known_sums, SourceError):
                raise SourceError(str(self._known_sums))
            return self._known_sums

    def _read_list(self) -> Mapping[str, str]:
        try:
            content = text(self._web, f"{self._url}/{SUMS}")
        except AbsentError:
            content = ""
        self.list_sha256 = hash_of_list(content.encode())
        if self._wanted_list:
            require_list(self, self._wanted_list, self.list_sha256)
        return parse_sums(content)

    def url(self, file: ArtifactFile, sha256: str) -> str | None:
        """See ``Source.url``. A URL with a password in it stays on the controller."""
        try:
            listed = self.sums().get(file.key)
        except SourceError:
            return None
        url = f"{self._url}/{file.key}"
        if self._has_secret or (listed not in {None, sha256}):
            return None
        return url if listed or self._web.exists(url) else None

    def size(self, file: ArtifactFile) -> int | None:
        """See ``Source.size``."""
        return self._web.size(f"{self._url}/{file.key}")

    def obtain(self, file: ArtifactFile, expected: Expected | None, report: Report) -> Obtained:
        """See ``Source.obtain``."""
        self.sums()
        url = f"{self._url}/{file.key}"
        with downloaded(self._web, self._cache, url, expected, report, most=largest(file)) as (
            temporary,
            sha256,
        ):
            return Obtained(self._cache.store(temporary, file, sha256), sha256)

"""The projects' own release sites."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from urllib3.util import parse_url

from k8sbootstrap.artifacts.cache import Cache
from k8sbootstrap.artifacts.chart_index import chart_url
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
    largest,
    parse_sums,
    text,
)
from k8sbootstrap.artifacts.web import Web
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.formats import limits
from k8sbootstrap.formats.archive import ArchiveError, copy_out, members
from k8sbootstrap.formats.text import without_logins


class UpstreamSource(Source):
    """The projects' own release sites. Only files with a checksum are taken from there.

    Args:
        web: HTTP client of the run.
        cache: Takes what is downloaded.
        files: All files of the run: an archive is downloaded once for all of its files.
    """

    label = "upstream"

    def __init__(self, web: Web, cache: Cache, files: Iterable[ArtifactFile]) -> None:
        self._web = web
        self._cache = cache
        self._siblings: dict[str, list[ArtifactFile]] = {}
        for file in files:
            if file.url and file.member:
                self._siblings.setdefault(file.url, []).append(file)
        self._locks = {url: threading.Lock() for url in self._siblings}
        self._unpacked: dict[str, Obtained | SourceError] = {}

    def size(self, file: ArtifactFile) -> int | None:
        """See ``Source.size``."""
        return self._web.size(file.url) if file.url else None

    def unit(self, file: ArtifactFile) -> str:
        """See ``Source.unit``."""
        return file.key.rpartition("/")[0] if file.member else file.key

    def obtain(self, file: ArtifactFile, expected: Expected | None, report: Report) -> Obtained:
        """See ``Source.obtain``."""
        if file.chart:
            with _of_site(file.chart.repository):
                url = chart_url(file.chart, self._web, self._cache)
            return self._plain(file, url, expected, report)
        if file.url is None:
            raise AbsentError("upstream does not publish this file")
        if file.member is None:
            return self._plain(file, file.url, expected, report)
        with self._locks[file.url]:
            if file.key not in self._unpacked:
                self._unpack(file, file.url, report)
        found = self._unpacked[file.key]
        if isinstance(found, SourceError):
            raise type(found)(str(found))
        compare(found.sha256, expected)
        return found

    def published(self, file: ArtifactFile) -> Expected | None:
        """What upstream's checksum beside a file says, over TLS; None where there is none, or no answer.

        A file that comes in an archive has none: the checksum is the archive's.
        """
        if file.url is None or file.member is not None or file.checksum_url is None:
            return None
        try:
            found = self._published(file, file.url)
        except SourceError:
            return None
        return replace(found, published=True)

    def _plain(self, file: ArtifactFile, url: str, expected: Expected | None, report: Report) -> Obtained:
        if file.sha256:
            compare(file.sha256, expected)  # known beforehand: nothing is downloaded in vain
        wanted = expected or self._published(file, url)
        with (
            _of_site(url),
            downloaded(self._web, self._cache, url, wanted, report, most=largest(file)) as (
                temporary,
                sha256,
            ),
        ):
            return Obtained(self._cache.store(temporary, file, sha256), sha256, vouched=expected is None)

    def _unpack(self, asked: ArtifactFile, url: str, report: Report) -> None:
        """Download an archive and store every file of it that this run needs."""
        files = {file.member: file for file in self._siblings[url] if file.member}
        failure = SourceError("")
        try:
            wanted = self._published(asked, url)
            with (
                _of_site(url),
                downloaded(
                    self._web,
                    self._cache,
                    url,
                    wanted,
                    report,
                    most=limits.PROGRAM,
                    what="the archive",
                ) as (archive, _),
            ):
                for name, stream in members(archive, files):
                    with self._cache.temporary() as temporary:
                        sha256 = copy_out(stream, temporary, limits.PROGRAM)
                        path = self._cache.store(temporary, files[name], sha256)
                    self._unpacked[files[name].key] = Obtained(path, sha256, vouched=True)
        except ArchiveError as exc:
            failure = SourceError(str(exc))
        except SourceError as exc:
            failure = exc
        for file in files.values():
            self._unpacked.setdefault(file.key, failure)

    def _published(self, file: ArtifactFile, url: str) -> Expected:
        """The hash that upstream publishes for ``url``: the one in the catalogue, else its site's."""
        if file.url_sha256:
            return Expected(file.url_sha256, f"as {file.known_by} says")
        checksum_url = file.checksum_url
        if checksum_url is None:
            raise SourceError("upstream does not publish a checksum, and no hash is known")
        with _of_site(checksum_url):
            sums = parse_sums(text(self._web, checksum_url))
        sha256 = sums.get("") or sums.get(url.rpartition("/")[2])
        if sha256 is None:
            raise SourceError(f"{without_logins(checksum_url)} does not list {url.rpartition('/')[2]}")
        return Expected(sha256, f"as {without_logins(checksum_url)} says")


@contextmanager
def _of_site(url: str) -> Iterator[None]:
    """Name the site in the errors of the block: upstream is several."""
    try:
        yield
    except RefusedError:
        raise
    except SourceError as exc:
        raise type(exc)(f"{parse_url(url).host}: {exc}") from exc

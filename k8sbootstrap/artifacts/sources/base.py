"""The base class of places that files come from, and the check of their content."""

import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from k8sbootstrap.artifacts.cache import Cache
from k8sbootstrap.artifacts.pins import Reason
from k8sbootstrap.artifacts.web import NotThereError, Web, WebError
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.errors import ArtifactError
from k8sbootstrap.formats import limits

SUMS = "SHA256SUMS"
_SUMS_LINE = re.compile(r"(?P<hash>[0-9a-fA-F]{64})(?: [ *](?P<path>.+))?")

Report = Callable[[int, int | None], None]
"""Called with bytes received so far and, where known, the total."""


@dataclass(frozen=True)
class Expected:
    """The hash that a file must have."""

    sha256: str
    why: str
    """Where the hash comes from, as in "as the release catalogue says"."""
    listed_by: "Source | None" = None
    """The source whose SHA256SUMS has the hash; None where it comes from elsewhere."""
    pinned: bool = False
    """Whether it is the cluster's pin."""
    published: bool = False
    """Whether it is upstream's own checksum."""


class SourceError(Exception):
    """A source does not give a file; the message says why, without naming source or file."""


class AbsentError(SourceError):
    """The source works and does not have the file."""


class RefusedError(SourceError):
    """The source has the file with a wrong hash."""


@dataclass(frozen=True)
class Obtained:
    """A file that a source gave."""

    path: Path
    sha256: str
    """Computed from the content."""
    vouched: bool = False
    """Whether a checksum that upstream published covers it."""
    place: str = ""
    """Where it came from, if the source's label alone does not say so: an image with its digest."""


class Source(ABC):
    """A place that may have files."""

    label: str
    """As shown to users."""
    own_builds: bool = False
    """Whether cluster.yaml has the hash of its list: what that says counts before the catalogue."""
    own_build_reason: ClassVar[Reason] = "own build"
    """Why a hash is pinned that such a list has, and the catalogue has not."""
    list_counts: bool = True
    """Whether its list counts for files of unknown hash: it did not come over a plain connection."""
    list_sha256: str = ""
    """sha256 of its SHA256SUMS, once that was read; empty where there is none."""

    def sums(self) -> Mapping[str, str]:
        """Hash of each file in the source's own SHA256SUMS, by key; empty where it has none.

        Raises:
            SourceError: The source does not answer, or its SHA256SUMS is damaged.
        """
        return {}

    @property
    def to_allow(self) -> str:
        """What to write into cluster.yaml where its files are the user's own builds."""
        return f'"ownBuilds: {self.list_sha256}" at {self.label} under artifacts.sources'

    def url(self, file: ArtifactFile, sha256: str) -> str | None:  # noqa: ARG002
        """Where hosts can fetch this very file from the source themselves; None where they cannot."""
        return None

    def size(self, file: ArtifactFile) -> int | None:  # noqa: ARG002
        """How many bytes would come for ``file``; 0 where it is on this machine, None if not known."""
        return None

    def unit(self, file: ArtifactFile) -> str:
        """What is transferred for ``file``: itself, unless it comes in an archive with others."""
        return file.key

    @abstractmethod
    def obtain(self, file: ArtifactFile, expected: Expected | None, report: Report) -> Obtained:
        """Get a file.

        Args:
            file: Which one.
            expected: The hash that it must have; None when nothing is known of it.
            report: Told of progress.

        Returns:
            The file with exactly that hash, if one is expected.

        Raises:
            SourceError: It cannot be had here; ``RefusedError`` when it has another hash.
        """


def hash_of_list(content: bytes) -> str:
    """sha256 of a SHA256SUMS; empty for an empty one."""
    return hashlib.sha256(content).hexdigest() if content else ""


def require_list(source: Source, wanted: str, found: str) -> None:
    """Check that a list of own builds is the one whose hash cluster.yaml has.

    Args:
        source: Whose list it is.
        wanted: Its sha256, as cluster.yaml has it.
        found: Its sha256; empty where there is no list.

    Raises:
        ArtifactError: It is another list, or there is none.
    """
    if found == wanted:
        return
    what = f"has sha256 {found}" if found else "does not exist"
    raise ArtifactError(
        f"{source.label}: its {SUMS} {what}, but ownBuilds in cluster.yaml is {wanted}",
        hint=f'If this list is the right one, write "ownBuilds: {found}" at this source in '
        "cluster.yaml. If it was not changed on purpose, find out who changed it before "
        "you continue."
        if found
        else "Put the list there. Or remove ownBuilds to use the hashes of the catalogue.",
    )


def parse_sums(text: str) -> dict[str, str]:
    """Read the output of ``sha256sum``: hashes by path. A line with a hash alone has the empty path.

    Raises:
        SourceError: A line is something else.
    """
    sums = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _SUMS_LINE.fullmatch(line.strip())
        if match is None:
            raise SourceError(f"{SUMS} is damaged: line {number} is not HASH  NAME/VERSION/ARCH/FILE")
        sums[(match["path"] or "").removeprefix("./")] = match["hash"].lower()
    return sums


def compare(sha256: str, expected: Expected | None, what: str = "it") -> None:
    """Check a hash.

    Raises:
        RefusedError: It is not the expected one.
    """
    if expected is not None and sha256 != expected.sha256:
        raise RefusedError(
            f"refused: {what} has sha256 {sha256} and must have {expected.sha256}, {expected.why}"
        )


def download(web: Web, url: str, target: Path, report: Report, most: int) -> str:
    """``Web.download`` with the errors of sources."""
    try:
        return web.download(url, target, report, most)
    except NotThereError as exc:
        raise AbsentError(str(exc)) from exc
    except WebError as exc:
        raise SourceError(str(exc)) from exc


@contextmanager
def downloaded(
    web: Web,
    cache: Cache,
    url: str,
    expected: Expected | None,
    report: Report,
    *,
    most: int,
    what: str = "it",
) -> Iterator[tuple[Path, str]]:
    """Download a file for the block; it is removed afterwards unless ``cache.store`` took it.

    Where the hash is known beforehand, a download goes on with what an earlier run has of the file.

    Args:
        web: HTTP client of the run.
        cache: Where the file is meanwhile.
        url: Where it comes from.
        expected: The hash that it must have, if one is known.
        report: Told of progress.
        most: How many bytes it may have.
        what: The file, in error messages.

    Yields:
        The file and its hash, which is the expected one.

    Raises:
        SourceError: It can't be had; ``RefusedError`` when it has another hash.
    """
    with cache.unfinished(url) if expected else cache.temporary() as path:
        resumed = path.stat().st_size > 0
        sha256 = download(web, url, path, report, most)
        if resumed and expected and sha256 != expected.sha256:  # the earlier part was of another file
            os.truncate(path, 0)
            sha256 = download(web, url, path, report, most)
        try:
            compare(sha256, expected, what)
            yield path, sha256
        finally:
            path.unlink(missing_ok=True)  # it came whole: there is nothing to go on with


def text(web: Web, url: str) -> str:
    """``Web.text`` with the errors of sources."""
    try:
        return web.text(url)
    except NotThereError as exc:
        raise AbsentError(str(exc)) from exc
    except WebError as exc:
        raise SourceError(str(exc)) from exc


def largest(file: ArtifactFile) -> int:
    """The most bytes that a file may have."""
    if file.file == "image.tar":
        return limits.IMAGE
    return limits.DOCUMENT if file.arch == "any" else limits.PROGRAM

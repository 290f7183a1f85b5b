"""Single files out of a tar.gz archive."""

import hashlib
import posixpath
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Protocol

_CHUNK = 1 << 20
_DAMAGED = (tarfile.TarError, EOFError, zlib.error)


class Readable(Protocol):
    """What ``copy_out`` copies."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes."""


class ArchiveError(Exception):
    """The archive is damaged, or does not hold what it should."""


def members(archive: Path, wanted: Iterable[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Open the wanted members one after the other; nothing else of the archive is written anywhere.

    Args:
        archive: A tar archive compressed with gzip.
        wanted: Paths inside it; ``./x`` in the archive is the same as ``x``.

    Yields:
        The wanted path, and its content as a stream that is valid until the next step.

    Raises:
        ArchiveError: The archive cannot be read, or a member is missing or no regular file.
    """
    missing = set(wanted)
    try:
        with tarfile.open(archive, "r|gz") as tar:
            for member in tar:
                name = posixpath.normpath(member.name)
                if name not in missing:
                    continue
                stream = tar.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise ArchiveError(f"{name} in the archive is not a regular file")
                yield name, stream
                missing.remove(name)
                if not missing:
                    return
    except (*_DAMAGED, OSError) as exc:
        raise ArchiveError(f"the archive cannot be read: {exc}") from exc
    if missing:
        raise ArchiveError(f"the archive does not hold {', '.join(sorted(missing))}")


def copy_out(stream: Readable, target: Path) -> str:
    """Write a member's content to ``target``.

    Returns:
        sha256 of the content.

    Raises:
        ArchiveError: The archive is damaged.
        OSError: ``target`` cannot be written.
    """
    digest = hashlib.sha256()
    with target.open("wb") as out:
        while chunk := _read(stream):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _read(stream: Readable) -> bytes:
    try:
        return stream.read(_CHUNK)
    except _DAMAGED as exc:
        raise ArchiveError(f"the archive cannot be read: {exc}") from exc

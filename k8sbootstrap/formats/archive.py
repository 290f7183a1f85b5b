"""Single files out of a tar.gz archive."""

import gzip
import hashlib
import posixpath
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Protocol, Self, cast

from k8sbootstrap.formats import limits

_HEADER = 1 << 20
"""Bytes of a member's header that tarfile reads at once; a long name has some hundred."""
_HEADERS = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
_CHUNK = 1 << 20
_DAMAGED = (tarfile.TarError, EOFError, zlib.error)


class Readable(Protocol):
    """What ``copy_out`` copies."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes."""


class ArchiveError(Exception):
    """The archive is damaged, or does not hold what it should."""


class TarMember(tarfile.TarInfo):
    """A member whose headers are small: tarfile reads each of them into memory as a whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Called by tarfile with each header."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in _HEADERS and found.size > _HEADER:
            raise tarfile.ReadError(f"it has a header of {found.size:,} bytes")
        return found


def members(archive: Path, wanted: Iterable[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Open the wanted members one after the other; nothing else of the archive is written anywhere.

    Args:
        archive: A tar archive compressed with gzip.
        wanted: Paths inside it; ``./x`` in the archive is the same as ``x``.

    Yields:
        The wanted path, and its content as a stream that is valid until the next step.

    Raises:
        ArchiveError: The archive cannot be read, a member is missing or no regular file, or it unpacks to
            more than any archive of programs.
    """
    missing = set(wanted)
    try:
        with (
            gzip.open(archive) as unpacked,
            tarfile.open(
                fileobj=cast("IO[bytes]", _Bounded(unpacked, limits.UNPACKED)),
                mode="r|",
                tarinfo=TarMember,
            ) as tar,
        ):
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
        raise ArchiveError(f"the archive does not contain {', '.join(sorted(missing))}")


def read_member(archive: Path, name: str, most: int) -> bytes:
    """The content of one member.

    Args:
        archive: A tar archive compressed with gzip.
        name: Its path inside it.
        most: How many bytes it may have.

    Raises:
        ArchiveError: The archive can't be read or does not have it, or it is larger.
    """
    content = bytearray()
    for _, stream in members(archive, [name]):
        while chunk := _read(stream):
            content += chunk
            if len(content) > most:
                raise ArchiveError(f"{name} in the archive is larger than the limit of {most:,} bytes")
    return bytes(content)


def copy_out(stream: Readable, target: Path, most: int) -> str:
    """Write a member's content to ``target``.

    Args:
        stream: The content.
        target: A new file, or one of a folder that nobody else can write to.
        most: How many bytes it may have.

    Returns:
        sha256 of the content.

    Raises:
        ArchiveError: The archive is damaged, or there is more than that.
        OSError: ``target`` cannot be written.
    """
    digest = hashlib.sha256()
    left = most
    with target.open("wb") as out:
        while chunk := _read(stream):
            left -= len(chunk)
            if left < 0:
                raise ArchiveError(f"a file in the archive is larger than the limit of {most:,} bytes")
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _read(stream: Readable) -> bytes:
    try:
        return stream.read(_CHUNK)
    except _DAMAGED as exc:
        raise ArchiveError(f"the archive cannot be read: {exc}") from exc


class _Bounded:
    """A stream that raises an error after the most bytes that an unpacked archive may have."""

    def __init__(self, file: Readable, most: int) -> None:
        self._file = file
        self._most = self._left = most

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ArchiveError(f"the unpacked archive is larger than the limit of {self._most:,} bytes")
        return data

"""Writing a bundle: a plain tar archive, always the same bytes for the same content."""

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, cast

from k8sbootstrap.artifacts.bundle.manifest import NAME, Manifest
from k8sbootstrap.errors import BundleError
from k8sbootstrap.formats.text import megabytes

Content = Path | bytes
"""A file's content: where it is, or the bytes themselves."""


def write_bundle(
    output: Path, manifest: Manifest, content: Mapping[str, Content], progress: Callable[[int], None]
) -> str:
    """Write a bundle in one pass; it appears under its name when it is whole.

    Args:
        output: The file.
        manifest: What is written, with all hashes.
        content: The content of every file that the manifest lists.
        progress: Told how many bytes of files are written so far.

    Returns:
        sha256 of the bundle.

    Raises:
        BundleError: A file is not what the manifest says, or the bundle can't be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}-")
    except OSError as exc:
        raise BundleError(f"{output} can't be written: {exc.strerror}") from exc
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            stream = _Hashed(file)
            with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="w|", format=tarfile.PAX_FORMAT) as tar:
                text = manifest.text().encode()
                tar.addfile(_member(NAME, len(text)), io.BytesIO(text))
                written = 0
                for path, entry in sorted(manifest.files.items()):
                    _add(tar, path, content[path], manifest)
                    written += entry.size
                    progress(written)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(output)
    except OSError as exc:
        raise BundleError(
            f"{output} can't be written: {exc.filename or ''} {exc.strerror}",
            hint=f"Make the directory writable, and free {megabytes(manifest.size, 0)} for the bundle.",
        ) from exc
    finally:
        partial.unlink(missing_ok=True)
    return stream.digest.hexdigest()


def _add(tar: tarfile.TarFile, path: str, content: Content, manifest: Manifest) -> None:
    entry = manifest.files[path]
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as source:
        hashed = _Hashed(source)
        try:
            tar.addfile(_member(path, entry.size), hashed)
            whole = not source.read(1)
        except OSError as exc:
            if exc.errno is not None:
                raise
            whole = False  # tarfile says it so when the file is too short
    if not whole or hashed.digest.hexdigest() != entry.sha256:
        place = "" if isinstance(content, bytes) else f" ({content})"
        raise BundleError(
            f"{path}{place} changed while the bundle was written", hint="Run the same command again."
        )


def _member(path: str, size: int) -> tarfile.TarInfo:
    """A tar header with name and size alone: no time, no owner."""
    info = tarfile.TarInfo(path)
    info.size = size
    info.mode = 0o644
    return info


class _Hashed:
    """A file that computes the hash of all that is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._file.write(data)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data

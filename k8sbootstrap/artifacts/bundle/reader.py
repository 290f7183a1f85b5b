"""Reading a bundle: any file of it without unpacking the rest."""

import hashlib
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from k8sbootstrap.artifacts.bundle import manifest as manifests
from k8sbootstrap.artifacts.bundle.manifest import Manifest
from k8sbootstrap.errors import BundleError
from k8sbootstrap.formats.archive import TarMember

_CHUNK = 1 << 20
_MANIFEST_LIMIT = 16 << 20
_NEXT = "Copy the bundle again, or make a new one: k8sbootstrap bundle create"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest was read. Every other file is checked against its hash before it is used."""

    path: Path
    manifest: Manifest
    places: dict[str, int]
    """Offset in the bundle where each file's content begins, by the file's path."""

    @contextmanager
    def open(self, path: str) -> Iterator["Content"]:
        """A file's content, to be read once from its start to its end.

        Raises:
            BundleError: The bundle can't be read any more.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.places[path])
                yield Content(file, self.manifest.files[path].size)
        except OSError as exc:
            raise BundleError(f"{self.path} can't be read: {exc.strerror}") from exc

    def damaged(self, progress: Callable[[int], None]) -> dict[str, str]:
        """Check every file's hash.

        Args:
            progress: Told how many bytes were checked so far.

        Returns:
            The hash of each file that differs from the manifest, by the file's path.
        """
        wrong, checked = {}, 0
        for path, entry in sorted(self.manifest.files.items(), key=lambda item: self.places[item[0]]):
            digest = hashlib.sha256()
            with self.open(path) as content:
                while chunk := content.read(_CHUNK):
                    digest.update(chunk)
                    checked += len(chunk)
                    progress(checked)
            if digest.hexdigest() != entry.sha256:
                wrong[path] = digest.hexdigest()
        return wrong


class Content:
    """The bytes of one file of a bundle."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` of the bytes that are left; all of them, if negative."""
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


def open_bundle(path: Path) -> Bundle:
    """Read a bundle's manifest, and where its files are.

    Raises:
        BundleError: There is no such bundle, or it is damaged.
    """
    try:
        with tarfile.open(path, "r:", tarinfo=TarMember) as tar:
            manifest = _manifest(tar)
            places = {member.name: (member.offset_data, member.size) for member in tar if member.isreg()}
    except FileNotFoundError as exc:
        raise BundleError(f"there is no bundle {path}", hint="Make one: k8sbootstrap bundle create") from exc
    except OSError as exc:
        raise BundleError(f"{path} can't be read: {exc.strerror or exc}") from exc
    except (tarfile.TarError, EOFError) as exc:
        raise BundleError(f"{path} is not a bundle, or is damaged: {exc}", hint=_NEXT) from exc
    except BundleError as exc:
        raise BundleError(f"{path} is not a bundle, or is damaged: {exc}", hint=exc.hint or _NEXT) from exc
    for name, entry in manifest.files.items():
        if name not in places or places[name][1] != entry.size:
            raise BundleError(f"{path} is damaged: {name} is missing or has the wrong size", hint=_NEXT)
    return Bundle(path, manifest, {name: place for name, (place, _) in places.items()})


def _manifest(tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    stream = tar.extractfile(first) if first and first.name == manifests.NAME else None
    if first is None or stream is None or first.size > _MANIFEST_LIMIT:
        raise BundleError("it does not begin with a manifest")
    return manifests.parse(stream.read().decode("utf-8", errors="replace"))

"""The controller's cache of downloaded files, and what it knows about them."""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from k8sbootstrap import private_files
from k8sbootstrap.artifacts.private import open_private, others_can_write, require_private
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.formats.text import without_logins

_STALE_SECONDS = 24 * 3600
_HASH_DIGITS = 16


def cache_dir() -> Path:
    """``$K8SBOOTSTRAP_CACHE``, else ``k8sbootstrap`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if own := os.environ.get("K8SBOOTSTRAP_CACHE"):
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "k8sbootstrap"


def write_json(path: Path, document: object) -> None:
    """Replace ``path`` with ``document`` as JSON, mode 0600, in one step."""
    private_files.replace(path, f"{json.dumps(document, indent=1, sort_keys=True)}\n".encode())


class Cache:
    """Files under ``ROOT/artifacts/NAME/VERSION/ARCH/FILE@HASH``, where HASH starts the file's sha256.

    Two builds of one file can be cached side by side. A file is not trusted because it is here: the
    caller says which hash it must have. Safe to use from several threads.

    Args:
        root: The cache directory; made when something is stored.

    Raises:
        ArtifactError: Others than this user and root can write to it.
    """

    def __init__(self, root: Path) -> None:
        require_private(root)
        self.root = root
        self._lock = threading.Lock()
        self._memo: dict[str, list[object]] = _read_map(root / "hashes.json")
        self._verified: dict[str, list[object]] = _read_map(root / "verified.json")
        self._changed: set[str] = set()
        self._shared: dict[Path, bool] = {}
        """Whether others can write to a folder, by folder."""

    def path(self, file: ArtifactFile, sha256: str) -> Path:
        """Where ``file`` is when its hash is ``sha256``; it need not exist."""
        return self.root / "artifacts" / f"{file.key}@{sha256[:_HASH_DIGITS]}"

    def hash_of(self, path: Path) -> str:
        """sha256 of a file of the controller, remembered until its size, times or inode change.

        A file in a folder that others can write to is read every time.

        Raises:
            OSError: The file cannot be read.
        """
        stat = path.stat()
        mark: list[object] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        with self._lock:
            known = self._memo.get(str(path))
            if path.parent not in self._shared:
                self._shared[path.parent] = others_can_write(path.parent)
            is_shared = self._shared[path.parent]
        if known and known[:-1] == mark and isinstance(known[-1], str) and not is_shared:
            return known[-1]
        with path.open("rb") as source:
            sha256 = hashlib.file_digest(source, "sha256").hexdigest()
        with self._lock:
            self._memo[str(path)] = [*mark, sha256]
            self._changed.add("hashes.json")
        return sha256

    def verified(self, file: ArtifactFile) -> str | None:
        """The hash of upstream's ``file``, where an earlier run had it vouched for by upstream's checksum.

        Other clusters use the cache too. An image of a registry is not recorded here: each cluster.yaml
        names registries of its own, so the image is pinned for its own cluster alone.
        """
        with self._lock:
            match self._verified.get(file.key):
                case [str(sha256), str(url), archive] if url == _address(file) and archive == file.url_sha256:
                    return sha256
        return None

    def remember_verified(self, file: ArtifactFile, sha256: str) -> None:
        """Record that upstream's checksum (or that of its archive) vouches for this hash of ``file``.

        Only a file that upstream has under a URL is recorded.
        """
        url = _address(file)
        if url is None:
            return
        with self._lock:
            self._verified[file.key] = [sha256, url, file.url_sha256]
            self._changed.add("verified.json")

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """An empty file on the cache's file system; removed afterwards unless ``store`` took it."""
        descriptor, name = tempfile.mkstemp(dir=self._tmp())
        os.close(descriptor)
        path = Path(name)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def unfinished(self, url: str) -> Iterator[Path]:
        """The file that ``url`` is downloaded to, with what earlier runs have of it; a new one at first.

        It stays when the block fails, for the next run to go on with, unless nothing is in it. Where another
        run is at work on it this is an empty file of its own.
        """
        path = self._tmp() / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.part"
        with open_private(path) as held:
            if not _locked(held):
                with self.temporary() as own:
                    yield own
                return
            try:
                yield path
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    if not path.stat().st_size:
                        path.unlink()
                raise
            path.unlink(missing_ok=True)

    def part(self, digest: str) -> Path | None:
        """A part of an image, by ``sha256:HEX``, that was kept within the last day, if there is one."""
        path = self._part(digest)
        if not path.exists():
            return None
        if f"sha256:{self.hash_of(path)}" != digest:
            path.unlink()
            return None
        path.touch()
        return path

    def keep_part(self, temporary: Path, digest: str) -> Path:
        """Keep a checked part of an image for others that have it too, and for runs that go on."""
        return temporary.replace(self._part(digest))

    def _tmp(self) -> Path:
        """The folder of unfinished files."""
        folder = self.root / "tmp"
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        require_private(folder)
        return folder

    def _part(self, digest: str) -> Path:
        return self.root / "tmp" / f"{digest.replace(':', '-')}.image-part"

    def store(self, temporary: Path, file: ArtifactFile, sha256: str) -> Path:
        """Move a file from ``temporary()``, whose hash was just computed, to its place.

        Returns:
            The path in the cache.
        """
        target = self.path(file, sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.chmod(0o644)
        temporary.replace(target)
        return target

    def save(self) -> None:
        """Save what this run found out, and delete files that an interrupted run left more than a day ago."""
        with self._lock:
            if self._changed:
                self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if "hashes.json" in self._changed:
                memo = _read_map(self.root / "hashes.json") | self._memo
                write_json(
                    self.root / "hashes.json",
                    {path: known for path, known in memo.items() if Path(path).exists()},
                )
            if "verified.json" in self._changed:
                write_json(
                    self.root / "verified.json", _read_map(self.root / "verified.json") | self._verified
                )
            self._changed.clear()
        for left in (self.root / "tmp").glob("*"):
            with contextlib.suppress(OSError):
                if left.stat().st_mtime < time.time() - _STALE_SECONDS:
                    left.unlink()


def _address(file: ArtifactFile) -> str | None:
    """Where upstream has a file, without a login that may be in it."""
    return without_logins(file.url) if file.url else None


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_map(path: Path) -> dict[str, list[object]]:
    """What an earlier run recorded; empty when it is unreadable, because all of it can be found again."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {key: value for key, value in document.items() if isinstance(value, list) and value}

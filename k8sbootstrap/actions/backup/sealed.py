"""The file of a backup: a tar archive that age encrypts. Its first member says what else is in it."""

import gzip
import hashlib
import io
import json
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from k8sbootstrap.errors import BackupError
from k8sbootstrap.formats import age
from k8sbootstrap.formats.archive import ArchiveError, TarMember, copy_out
from k8sbootstrap.formats.bounded import load_json
from k8sbootstrap.formats.text import printable
from k8sbootstrap.pki.offer import KEPT, OfferedAuthority, check
from k8sbootstrap.private_files import PRIVATE
from k8sbootstrap.resources import shared_rules

MANIFEST = "manifest.json"
CLUSTER_FILE = "cluster.yaml"
SNAPSHOT = "etcd.snapshot"
PINS = "artifact-pins.json"
AUTHORITIES = {f"pki/{name}": name for name in KEPT}
"""Certificate authorities and keys that can't be made again."""
NEEDED = frozenset({CLUSTER_FILE, SNAPSHOT, *AUTHORITIES})
FORMAT = 1
"""Goes up when older versions would misread the file."""
_DATABASE = "etcd.db"
_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 20
_MOST = 16 << 30
"""Bytes of one file in a backup: twice what etcd's database may have."""
_LONGEST = 1 << 20
"""Bytes of the manifest."""
_Text = Annotated[str, Field(max_length=253, pattern=r"^[ -~]*$")]


def _known(name: str) -> str:
    if name not in NEEDED | {PINS}:
        raise ValueError("is no file of a backup")
    return name


_Name = Annotated[str, AfterValidator(_known)]


@dataclass(frozen=True)
class Entry:
    """A file in a backup."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0, lt=_MOST)]


@dataclass(frozen=True)
class Manifest:
    """What is in a backup."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    cluster: Annotated[str, Field(pattern="^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    """Name of the cluster."""
    kubernetes: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$", max_length=50)]
    """Release that it runs."""
    created: _Text
    """UTC, ISO 8601."""
    made_by: _Text
    """Version of k8sbootstrap."""
    revision: Annotated[int, Field(ge=0, lt=2**63)]
    """Of etcd's data."""
    made_with: Annotated[Mapping[_Text, _Text], Field(max_length=100)]
    """Values of cluster.yaml that the data depends on, by key: see ``plan/made_with.py``."""
    files: Mapping[_Name, Entry]


@dataclass(frozen=True)
class Backup:
    """A backup that was decrypted, and all of which was checked."""

    file: Path
    sha256: str
    """Of the file."""
    manifest: Manifest
    folder: Path
    """Has the files of the backup under their names. Only this user can read it."""
    authorities: tuple[OfferedAuthority, ...]

    @property
    def snapshot(self) -> Path:
        """The snapshot of etcd, compressed or not."""
        return self.folder / SNAPSHOT

    @property
    def database(self) -> Path:
        """The same, not compressed."""
        return self.folder / _DATABASE


_MANIFEST = TypeAdapter(Manifest)


def seal(target: Path, scratch: Path, manifest: Manifest, content: Mapping[str, Path], key: age.Key) -> None:
    """Write a backup.

    Args:
        target: The file; it is there when it is whole, readable by its user alone.
        scratch: Folder that only this user can read; gets what is not encrypted yet.
        manifest: What is in it.
        content: Name in the backup to file.
        key: Encrypts it.

    Raises:
        BackupError: It can't be encrypted or written.
    """
    plain, sealed = scratch / "backup.tar", target.with_name(f".{target.name}.partial")
    try:
        with tarfile.open(plain, "w", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, MANIFEST, io.BytesIO(json.dumps(asdict(manifest)).encode()))
            for name, path in content.items():
                with path.open("rb") as file:
                    _add(tar, name, file)
        sealed.unlink(missing_ok=True)
        sealed.touch(PRIVATE, exist_ok=False)
        age.encrypt(plain, sealed, key)
        sealed.chmod(PRIVATE)
        sealed.replace(target)
    except age.AgeError as exc:
        raise BackupError(f"{target} can't be made: {exc}") from exc
    except OSError as exc:
        raise BackupError(f"{target} can't be written: {exc.strerror}", hint="Free disk space.") from exc
    finally:
        plain.unlink(missing_ok=True)
        sealed.unlink(missing_ok=True)


def entry(path: Path) -> Entry:
    """What a manifest says of a file."""
    return Entry(sha256_of(path), path.stat().st_size)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(file: Path, key: age.Key) -> Iterator[Backup]:
    """Decrypt a backup into a private folder, which is gone after the block, and check all that is in it.

    Args:
        file: The backup.
        key: Decrypts it.

    Yields:
        The backup.

    Raises:
        BackupError: It is damaged, the key is another one, or it has what no backup has.
    """
    with tempfile.TemporaryDirectory(prefix="k8sbootstrap-backup-") as name:
        yield _open(file, Path(name), key)


def _open(file: Path, scratch: Path, key: age.Key) -> Backup:
    plain, folder = scratch / "backup.tar", scratch / "content"
    folder.mkdir(mode=0o700)
    try:
        digest = sha256_of(file)
        age.decrypt(file, plain, key)
        manifest = _unpack(plain, folder)
        plain.unlink()
        _expand(folder / SNAPSHOT, folder / _DATABASE)
        held = check({name: (folder / path).read_bytes() for path, name in AUTHORITIES.items()})
    except (age.AgeError, ArchiveError, ValueError) as exc:
        raise BackupError(f"{file} can't be used: {printable(str(exc))}") from exc
    except tarfile.TarError as exc:
        raise BackupError(f"{file} can't be used: it is no backup of k8sbootstrap") from exc
    except OSError as exc:
        raise BackupError(
            f"{exc.filename or scratch}: {exc.strerror}",
            hint=f"A backup is unpacked in {scratch.parent}. The environment variable TMPDIR names another "
            "folder.",
        ) from exc
    return Backup(file, digest, manifest, folder, held.authorities)


def _add(tar: tarfile.TarFile, name: str, file: IO[bytes]) -> None:
    header = tarfile.TarInfo(name)
    header.size, header.mode = file.seek(0, io.SEEK_END), PRIVATE
    file.seek(0)
    tar.addfile(header, file)


def _unpack(plain: Path, folder: Path) -> Manifest:
    """Write the files that the manifest lists, and see that each has its hash.

    Raises:
        ValueError: One is missing or damaged, or there are others.
        tarfile.TarError: It is no tar archive, or is damaged.
    """
    with tarfile.open(plain, "r:", tarinfo=TarMember) as tar:
        manifest = _read_manifest(tar)
        missing = dict(manifest.files)
        while (member := tar.next()) is not None:
            expected = missing.pop(member.name, None)
            stream = tar.extractfile(member) if member.isreg() else None
            if expected is None or stream is None or member.size != expected.bytes:
                raise ValueError(f"{member.name[:200]!r} in it is not what its manifest says")
            target = folder / member.name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.touch(PRIVATE, exist_ok=False)
            if copy_out(stream, target, expected.bytes) != expected.sha256:
                raise ValueError(f"{member.name} in it is damaged")
    lacking = [*missing, *sorted(NEEDED - set(manifest.files))]
    if lacking:
        raise ValueError(f"it lacks {', '.join(lacking)}")
    return manifest


def _read_manifest(tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    stream = tar.extractfile(first) if first and first.isreg() and first.name == MANIFEST else None
    if first is None or stream is None or first.size > _LONGEST:
        raise ValueError("it is no backup of k8sbootstrap")
    try:
        data: Any = load_json(stream.read())
        number = data["format"]
    except (ValueError, LookupError, TypeError) as exc:
        raise ValueError("its manifest is damaged") from exc
    if not isinstance(number, int) or number > FORMAT:
        raise ValueError(
            f"it has format {str(number)[:20]}, and this version of k8sbootstrap reads format {FORMAT}. "
            "Use a newer one"
        )
    try:
        return _MANIFEST.validate_python(data)
    except ValidationError as exc:
        wrong = exc.errors(include_url=False)[0]
        place = ".".join(str(step)[:100] for step in wrong["loc"])
        raise ValueError(f"its manifest is not as it should be: {place}: {wrong['msg']}") from exc


def _expand(stored: Path, target: Path) -> None:
    """Decompress the snapshot where it is compressed, and see that its own hash is right.

    Raises:
        ValueError: It is damaged.
    """
    target.touch(PRIVATE)
    with stored.open("rb") as source:
        compressed = source.read(len(_GZIP)) == _GZIP
    try:
        with gzip.open(stored) if compressed else stored.open("rb") as reading, target.open("wb") as out:
            while block := reading.read(_BLOCK):
                out.write(block)
                if out.tell() > _MOST:
                    raise ValueError("the snapshot of etcd in it is too large")
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise ValueError("the snapshot of etcd in it is damaged") from exc
    if not shared_rules("kube.etcd_snapshot").whole(target):
        raise ValueError("the snapshot of etcd in it is damaged")

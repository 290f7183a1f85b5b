"""The snapshot that etcd is rebuilt from: found, brought here, and sent to the hosts of all members."""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from k8sbootstrap import private_files
from k8sbootstrap.actions import bucket, snapshot
from k8sbootstrap.actions.context import RunContext
from k8sbootstrap.actions.restore_hosts import Staged, extract, have_done, stage
from k8sbootstrap.actions.step import StepReporter
from k8sbootstrap.actions.upload import OutgoingFile
from k8sbootstrap.checks.restoring import Rebuilt
from k8sbootstrap.errors import HostError, PreflightError
from k8sbootstrap.formats.text import megabytes
from k8sbootstrap.survey.cluster.requests import SNAPSHOT_FOLDER
from k8sbootstrap.survey.status.bucket import BucketSnapshot, look_in_bucket, url_of
from k8sbootstrap.survey.status.models import EtcdSnapshot

BUMP = 1_000_000_000
"""How much higher than the snapshot's the revision begins: more than is written between two snapshots."""
Confirm = Callable[["RestoreContext"], None]
"""Shows what is to do and lets the user stop it with KeyboardInterrupt."""


@dataclass(frozen=True)
class Restore:
    """A restore that was begun: kept in the state directory until it has ended."""

    id: str
    sha256: str
    """Of the snapshot's file."""
    members: tuple[str, ...]
    """Hosts of the new members."""
    bump: int


_RESTORE = TypeAdapter(Restore)


@dataclass(kw_only=True)
class RestoreContext(RunContext):
    """What the steps share."""

    file: Path | None = None
    """The snapshot, where it is on this machine."""
    store: Mapping[str, Any] = field(default_factory=dict)
    """How hosts reach the bucket; empty where cluster.yaml names none."""
    object: str = ""
    """The snapshot, where it is in the bucket: its name there, or the end of it."""
    survivor: str = ""
    """Host whose data is all that there is; empty where there is a snapshot."""
    dead: bool = False
    """Whether the user says that hosts which don't answer never will."""
    confirm: Confirm | None = None
    """None asks nobody."""
    hosts: Rebuilt = field(default_factory=lambda: Rebuilt((), (), (), 0, ""))
    newest: EtcdSnapshot | None = None
    """The newest one on a host."""
    source: str = ""
    """Where the snapshot is from, for people."""
    taken: datetime | None = None
    """When it was taken, where that is known."""
    restore: Restore = field(default_factory=lambda: Restore("", "", (), BUMP))
    staged: Staged | None = None

    @property
    def note(self) -> Path:
        """Where the restore is written down."""
        return self.state.directory / "etcd-restore.json"

    @property
    def copy(self) -> Path:
        """The snapshot on this machine, where it is from a host."""
        return self.state.directory / "etcd-restore.snapshot"


def find_snapshot(context: RestoreContext, step: StepReporter) -> None:
    """Have the snapshot on this machine.

    Raises:
        PreflightError: There is none, or it can't be read.
        HostError: It could not be copied from its host, or fetched from the bucket.
    """
    if context.file is None:
        there = _in_bucket(context, step) if context.store else None
        if there:
            _fetch(context, step, there)
            return
        if context.newest is None:
            bucket = f", and {url_of(context.store)} has none" if context.store else ""
            raise PreflightError(
                f"no host of etcd has a snapshot in {SNAPSHOT_FOLDER}{bucket}. Nothing was changed.",
                hint="Name a file: k8sbootstrap etcd restore FILE. If one member still has its data: "
                "k8sbootstrap etcd recover --survivor HOST.",
            )
        newest = context.newest
        context.source, context.taken = f"{newest.path} of {newest.host}", newest.taken
        _download(context, step, snapshot.Snapshot(newest.host, newest.path, newest.bytes))
        return
    try:
        with context.file.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        context.taken = _taken(context.file)
    except OSError as exc:
        raise PreflightError(f"{context.file} can't be read: {exc.strerror}. Nothing was changed.") from exc
    context.source = str(context.file)
    _begin(context, digest)


def send(context: RestoreContext, step: StepReporter) -> None:
    """Have the snapshot on the host of every member, and see there that it can be restored.

    Raises:
        HostError: It can't be. etcd was not touched.
    """
    path, restore, members = context.file or context.copy, context.restore, context.hosts.members
    try:
        staged = stage(context.pool, members, restore.id, OutgoingFile(path, restore.sha256))
    except HostError:
        if not context.hosts.resumes and not context.survivor:
            with suppress(HostError):
                have_done(context.pool, members, "discard")
        raise
    context.staged = staged
    now, then = context.hosts.revision, staged.revision
    # one that continues keeps its own: all members must begin at the same revision
    if now - then > BUMP // 2 and restore.id != context.hosts.resumes:
        context.restore = replace(context.restore, bump=now - then + BUMP)
    step.note(f"revision {then}, {megabytes(staged.bytes)}")


def save_survivor(context: RestoreContext, step: StepReporter) -> None:
    """Make a snapshot of the survivor's data, and have it on this machine.

    Raises:
        HostError: The data can't be read.
    """
    host = next(host for host in context.hosts.members if host.name == context.survivor)
    made = extract(context.pool, host, SNAPSHOT_FOLDER)
    step.note(f"{megabytes(made.bytes)} on {host.name}: {made.path}")
    begun = context.restore
    _download(context, step, snapshot.Snapshot(host.name, made.path, made.bytes, made.sha256))
    context.restore = replace(begun, sha256=made.sha256)
    write_down(context)


def _in_bucket(context: RestoreContext, step: StepReporter) -> BucketSnapshot | None:
    """The snapshot in the bucket: the one that is named, or the newest, if no host has it or a newer one.

    Raises:
        PreflightError: The bucket does not have it, or can't be read.
    """
    found = look_in_bucket(context.plan, context.pool, context.hosts.members[0].name, context.store)
    if not context.object:
        if found.problem:
            step.note(f"{found.url} can't be read, so only hosts are looked at: {found.problem}")
        newest, own = next(iter(found.snapshots), None), context.newest
        if newest is None or own is None:
            return newest
        same = own.path.rpartition("/")[2] == newest.object.partition("/")[2]
        return None if same or newest.taken <= own.taken else newest
    if found.problem:
        raise PreflightError(f"{found.url} can't be read: {found.problem}. Nothing was changed.")
    name = context.object.removeprefix(f"{found.url}/")
    matching = [each for each in found.snapshots if name in {each.object, each.object.partition("/")[2]}]
    if len(matching) != 1:
        what = f"{len(matching)} snapshots" if matching else "no snapshot"
        raise PreflightError(
            f"{found.url} has {what} of the name {name}. Nothing was changed.",
            hint="Name one that k8sbootstrap etcd status -o json lists under bucket: ID/NAME.",
        )
    return matching[0]


def _fetch(context: RestoreContext, step: StepReporter, there: BucketSnapshot) -> None:
    """Have a snapshot of the bucket on this machine, by way of a host of etcd."""
    host = context.hosts.members[0].name
    context.source, context.taken = f"{url_of(context.store)}/{there.object}", there.taken
    step.status(f"{megabytes(there.bytes)} from {url_of(context.store)} to {host}")
    fetched = bucket.fetch(context.plan, context.pool, host, context.store, there.object)
    try:
        _download(context, step, fetched)
    finally:
        with suppress(HostError):
            bucket.forget(context.plan, context.pool, host)


def _download(context: RestoreContext, step: StepReporter, found: snapshot.Snapshot) -> None:
    def show(done: int) -> None:
        step.status(f"{megabytes(done)} of {megabytes(found.bytes)} from {found.host}")

    _begin(context, snapshot.download(context.plan, context.pool, found, context.copy, show))


def _taken(file: Path) -> datetime:
    """When a snapshot was taken: as its name says, else the file itself."""
    with suppress(ValueError):
        return datetime.strptime(file.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def _begin(context: RestoreContext, sha256: str) -> None:
    """Go on with the restore that was begun of this snapshot, or begin one."""
    members = tuple(host.name for host in context.hosts.members)
    begun = _begun(context)
    if begun and (begun.sha256, begun.members) == (sha256, members):
        context.restore = begun
    else:
        context.restore = Restore(f"restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}", sha256, members, BUMP)


def _begun(context: RestoreContext) -> Restore | None:
    """The restore that hosts say has not ended, where the state directory knows it."""
    with suppress(ValidationError):
        found = _RESTORE.validate_json(private_files.read(context.note) or b"")
        if found.id == context.hosts.resumes:
            return found
    return None


def has_copy(context: RestoreContext) -> bool:
    """Whether the survivor's data is on this machine already, from a run that was stopped."""
    begun = _begun(context)
    if begun is None or not begun.sha256 or not context.copy.exists():
        return False
    with context.copy.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == begun.sha256


def write_down(context: RestoreContext) -> None:
    """Keep the restore in the state directory until it has ended."""
    text = json.dumps(asdict(context.restore)).encode()
    private_files.write(context.note, text, private_files.PRIVATE, root=context.state.directory)


def recall(context: RestoreContext, _step: StepReporter) -> None:
    """Go on with the recovery that was begun, or begin one."""
    context.source = f"the data of {context.survivor}"
    begun = _begun(context)
    _begin(context, begun.sha256 if begun else "")

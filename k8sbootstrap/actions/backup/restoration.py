"""What the state directory has of a backup that ``up --restore`` restores, and how far that is.

Plain ``up`` goes on with one that has begun, without the backup.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from k8sbootstrap import private_files
from k8sbootstrap.actions.backup import sealed
from k8sbootstrap.actions.backup.create import of_data
from k8sbootstrap.actions.backup.sealed import Backup
from k8sbootstrap.actions.restore_snapshot import BUMP
from k8sbootstrap.catalog.data import minor_of
from k8sbootstrap.config.load import load_settings
from k8sbootstrap.config.models.base import DnsLabel
from k8sbootstrap.errors import PreflightError, StateError
from k8sbootstrap.formats.text import megabytes
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.resources import shared_rules
from k8sbootstrap.run import lock
from k8sbootstrap.state import State

Stage = Literal["copied", "etcd", "nodes", "done"]
"""How far it is: nothing on hosts was changed; members of etcd get their data; API servers may start, and the
nodes of lost hosts are deleted; it has ended."""
_NOTHING = "Nothing was changed."
_ROOM = 1.1
"""Disk space that is asked for, as a multiple of what is needed."""
_NODES = {"master", "worker"}
_Text = Annotated[str, Field(max_length=4096)]


@dataclass(frozen=True)
class Restoration:
    """What the state directory knows of it."""

    id: Annotated[str, Field(pattern=r"^restore-\d{8}T\d{6}Z$")]
    stage: Stage
    backup: str
    """sha256 of the backup's file."""
    source: _Text
    """That file, for people."""
    created: _Text
    """When the backup was made."""
    revision: int
    """Of etcd's data in it."""
    snapshot: str
    """sha256 of the snapshot's file."""
    members: dict[str, str]
    """Name to address of the new members of etcd; they can't be changed once it has begun."""
    gone: tuple[DnsLabel, ...]
    """Nodes that the backup's cluster.yaml has and the new one has not."""
    bump: int
    """How much higher than the snapshot's the revision begins."""
    again: bool = False
    """Whether the cluster was brought back from this backup here before."""

    @property
    def has_begun(self) -> bool:
        """Whether hosts were changed for it, and it has not ended."""
        return self.stage in {"etcd", "nodes"}


_FORM = TypeAdapter(Restoration)


def snapshot_of(state: State) -> Path:
    """The copy of the snapshot."""
    return state.restore / sealed.SNAPSHOT


def read(state: State) -> Restoration | None:
    """What there is of a restore; None for nothing.

    Raises:
        StateError: The note of it is damaged, or can't be read.
    """
    text = private_files.read(_note(state))
    if text is None:
        return None
    try:
        return _FORM.validate_json(text)
    except ValidationError as exc:
        raise StateError(
            f"{_note(state)} is damaged",
            hint=f"If no restore was begun, delete {state.restore}. Else reset the hosts, delete it, and run "
            "k8sbootstrap up --restore FILE again.",
        ) from exc


def write(state: State, restoration: Restoration) -> None:
    """Keep how far it is.

    Raises:
        StateError: It can't be written.
    """
    text = json.dumps(asdict(restoration), indent=1).encode()
    private_files.write(_note(state), text, private_files.PRIVATE, root=state.directory)


def end(state: State, restoration: Restoration) -> None:
    """Write down that it has ended, and remove the copies."""
    write(state, replace(restoration, stage="done", again=True))
    _remove_copies(state)


def forget(state: State) -> None:
    """Remove all that there is of it."""
    shutil.rmtree(state.restore, ignore_errors=True)


def give_cluster_file(backup: Backup, file: Path) -> bool:
    """Write the backup's cluster.yaml where there is none.

    Returns:
        Whether it was written.

    Raises:
        StateError: It can't be.
    """
    if file.exists():
        return False
    content = (backup.folder / sealed.CLUSTER_FILE).read_bytes()
    private_files.write(file, content, private_files.PRIVATE, root=file.absolute().parent)
    return True


def take_in(backup: Backup, plan: ClusterPlan, cluster_file: Path) -> None:
    """Copy what is needed of a backup into the state directory. No host is asked, no certificate replaced.

    Args:
        backup: The backup.
        plan: The cluster as it is to be.
        cluster_file: cluster.yaml; the state directory is beside it.

    Raises:
        PreflightError: The plan is not one of the backup's cluster.
        StateError: The state directory belongs to another cluster, a restore from another backup has begun,
            or the copy can't be made.
        LockedError: Another command is changing this cluster.
    """
    _require_same(backup, plan)
    state = State.beside(cluster_file, plan.config.name)
    state.create()
    with lock.hold(state.lock, "k8sbootstrap up --restore"):
        _require_no_other(backup, state)
        known = read(state)
        if known and known.has_begun:
            if known.backup != backup.sha256:
                raise StateError(
                    f"a restore from another backup, {known.source} of {known.created}, has begun and has "
                    f"not ended. {_NOTHING}",
                    hint="To end it: k8sbootstrap up. To give it up: k8sbootstrap reset, then this command "
                    "again.",
                )
            if known.stage == "etcd":
                _copy(backup, state)
            return
        _copy(backup, state)
        again = known is not None and known.again and known.backup == backup.sha256
        write(state, _new(backup, plan, again=again))


def begun_anew(restoration: Restoration, plan: ClusterPlan) -> Restoration:
    """The same as one that begins on hosts now."""
    members = {host.name: str(host.private_address) for host in plan.etcd_members}
    return replace(restoration, id=_new_id(), stage="etcd", members=members)


def held(state: State) -> dict[str, bytes]:
    """The certificate authorities and keys of the copy, by name in the state's PKI."""
    return {name: (state.restore / path).read_bytes() for path, name in sealed.AUTHORITIES.items()}


def _note(state: State) -> Path:
    return state.restore / "restore.json"


def _new_id() -> str:
    return f"restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def _new(backup: Backup, plan: ClusterPlan, *, again: bool) -> Restoration:
    manifest = backup.manifest
    hosts = load_settings(backup.folder / sealed.CLUSTER_FILE).hosts
    planned = {host.name for host in plan.nodes}
    return Restoration(
        id=_new_id(),
        stage="copied",
        backup=backup.sha256,
        source=str(backup.file),
        created=manifest.created,
        revision=manifest.revision,
        snapshot=manifest.files[sealed.SNAPSHOT].sha256,
        members={},
        gone=tuple(host.name for host in hosts if _NODES & {*host.roles} and host.name not in planned),
        bump=BUMP,
        again=again,
    )


def _require_same(backup: Backup, plan: ClusterPlan) -> None:
    """See that the plan is one of the backup's cluster.

    Raises:
        PreflightError: It is not.
    """
    problems = list(_differences(backup, plan))
    if problems:
        raise PreflightError(
            "\n".join([*(text for text, _ in problems), _NOTHING]),
            hint="\n".join(dict.fromkeys(hint for _, hint in problems)),
        )


def _differences(backup: Backup, plan: ClusterPlan) -> Iterator[tuple[str, str]]:
    """What keeps the data from being that of the planned cluster, and what to write instead."""
    manifest, planned = backup.manifest, plan.release.version
    what = f"the backup {backup.file}"
    if manifest.cluster != plan.config.name:
        yield (
            f"{what} is of the cluster {manifest.cluster}, and cluster.yaml says name: {plan.config.name}",
            f"Set name to {manifest.cluster}.",
        )
    if minor_of(manifest.kubernetes) != minor_of(planned):
        text = f"{what} is of Kubernetes {manifest.kubernetes}, and cluster.yaml says kubernetes.version: "
        hint = f"Set kubernetes.version to {manifest.kubernetes}, or to another release of "
        yield (
            f"{text}{planned}",
            f"{hint}{minor_of(manifest.kubernetes)}. Upgrade when the cluster is back.",
        )
    rules = shared_rules("fixed")
    for problem in rules.judge(what, manifest.made_with, of_data(plan), "cluster.yaml"):
        yield problem["text"], problem["hint"]


def _require_no_other(backup: Backup, state: State) -> None:
    """See that the state directory has no certificate authorities, or those of the backup.

    Raises:
        StateError: It has others.
    """
    for path, name in sealed.AUTHORITIES.items():
        own = private_files.read(state.pki / name)
        if own is not None and own != (backup.folder / path).read_bytes():
            raise StateError(
                f"{state.pki / name} is not the one in the backup {backup.file}: the state directory belongs "
                f"to another cluster of that name, or its CAs were replaced after the backup. {_NOTHING}",
                hint="Restore in an empty folder. Or, if that cluster is lost for good, move "
                f"{state.directory} away.",
            )


def _copy(backup: Backup, state: State) -> None:
    """Copy the snapshot, the certificate authorities and the pins.

    Raises:
        StateError: There is no room for it, or it can't be written.
    """
    target, partial = snapshot_of(state), _partial(state)
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        size, free = backup.snapshot.stat().st_size, shutil.disk_usage(target.parent).free
        if free < _ROOM * size:
            raise StateError(
                f"{target.parent} has {megabytes(free)} free, and the snapshot in the backup takes "
                f"{megabytes(size)}. {_NOTHING}",
                hint="Free disk space.",
            )
        partial.unlink(missing_ok=True)
        partial.touch(private_files.PRIVATE)
        shutil.copyfile(backup.snapshot, partial)
        partial.replace(target)
        (state.restore / sealed.PINS).unlink(missing_ok=True)
        for path in (*sealed.AUTHORITIES, sealed.PINS):
            source = backup.folder / path
            if source.exists():
                private_files.write(
                    state.restore / path, source.read_bytes(), private_files.PRIVATE, root=state.directory
                )
    except OSError as exc:
        raise StateError(f"{target} can't be written: {exc.strerror}", hint="Free disk space.") from exc


def _partial(state: State) -> Path:
    """The copy of the snapshot while it is made."""
    return state.restore / f"{sealed.SNAPSHOT}.partial"


def _remove_copies(state: State) -> None:
    _partial(state).unlink(missing_ok=True)
    for path in (sealed.SNAPSHOT, sealed.PINS, *sealed.AUTHORITIES):
        (state.restore / path).unlink(missing_ok=True)

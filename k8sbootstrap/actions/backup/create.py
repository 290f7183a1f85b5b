"""``backup create``: a new snapshot of etcd, and what else a cluster is rebuilt from."""

import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from k8sbootstrap import __version__
from k8sbootstrap.actions import snapshot
from k8sbootstrap.actions.backup import sealed
from k8sbootstrap.actions.backup.sealed import Manifest
from k8sbootstrap.errors import BackupError, StateError
from k8sbootstrap.formats.age import Key
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.pki.offer import check
from k8sbootstrap.plan.made_with import made_with
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.resources import shared_rules
from k8sbootstrap.state import ADOPT, State, no_state
from k8sbootstrap.survey.status import etcd


def create(plan: ClusterPlan, cluster_file: Path, pool: Pool, target: Path, key: Key) -> Manifest:
    """Back a cluster up. The snapshot stays on its host, too, until the next backup there.

    Args:
        plan: The cluster.
        cluster_file: cluster.yaml; the state directory is beside it.
        pool: Connections to the hosts.
        target: The file; it is there when it is whole, readable by its user alone.
        key: Encrypts it.

    Returns:
        What is in it.

    Raises:
        HostError: No snapshot could be taken.
        StateError: The certificate authorities here are missing or can't be used.
        BackupError: It can't be encrypted or written.
    """
    state = State.beside(cluster_file, plan.config.name)
    authorities = _authorities(state)
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=state.directory) as name:
        folder = Path(name)
        host = snapshot.source(etcd.state(etcd.look(plan, pool)).members)
        taken = snapshot.take(plan, pool, host, "backup", keep=1)
        copied = folder / sealed.SNAPSHOT
        snapshot.download(plan, pool, taken, copied, lambda _: None)
        small = {sealed.CLUSTER_FILE: cluster_file, **authorities, sealed.PINS: state.artifact_pins}
        content = {**_copies(small, folder), sealed.SNAPSHOT: copied}
        manifest = Manifest(
            format=sealed.FORMAT,
            cluster=plan.config.name,
            kubernetes=plan.release.version,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            made_by=__version__,
            revision=taken.revision,
            made_with=of_data(plan),
            files={name: sealed.entry(path) for name, path in content.items()},
        )
        sealed.seal(target, folder, manifest, content, key)
    return manifest


def of_data(plan: ClusterPlan) -> dict[str, str]:
    """The values of cluster.yaml that the data in etcd depends on, by key: not those of single hosts."""
    rules = shared_rules("fixed")
    values = made_with(plan, plan.masters[0])
    return {key: value for key, value in values.items() if key not in {*rules.OF_HOST, rules.RUNTIME}}


def _copies(files: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Copies of files, which nobody changes meanwhile; those that are missing are left out.

    Raises:
        BackupError: One can't be read, or copied.
    """
    copies = {}
    for number, (name, path) in enumerate(files.items()):
        if path.exists():
            copies[name] = folder / str(number)
            try:
                shutil.copyfile(path, copies[name])
            except OSError as exc:
                raise BackupError(f"{path} can't be copied to {folder}: {exc.strerror}") from exc
    return copies


def _authorities(state: State) -> dict[str, Path]:
    """Name in the backup to file.

    Raises:
        StateError: One is missing or can't be used.
    """
    found = {name: state.pki / file for name, file in sealed.AUTHORITIES.items()}
    try:
        check({file: (state.pki / file).read_bytes() for file in sealed.AUTHORITIES.values()})
    except FileNotFoundError as exc:
        lacking = Path(exc.filename).relative_to(state.pki)
        raise StateError(
            f"{no_state(state.directory.name)}: {lacking} is missing. A backup is of no use without the "
            "certificate authorities",
            hint=ADOPT,
        ) from exc
    except OSError as exc:
        raise StateError(f"{exc.filename} can't be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise StateError(f"{state.pki}: the certificate authorities can't be used: {exc}") from exc
    return found

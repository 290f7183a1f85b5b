"""``backup verify``: starts an etcd and an API server from a backup, and reads all that is in it."""

import platform
from collections.abc import Callable
from pathlib import Path

from k8sbootstrap.actions.backup import sealed, trial
from k8sbootstrap.actions.backup.api_objects import Counted
from k8sbootstrap.actions.backup.sealed import Backup
from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.artifacts.fetch import fetch_all
from k8sbootstrap.catalog.data import MACHINES
from k8sbootstrap.catalog.resolve import release
from k8sbootstrap.config.load import load_settings
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.errors import BackupError
from k8sbootstrap.formats.text import printable, some
from k8sbootstrap.state import State

_SHOWN = 5


def try_out(backup: Backup, base: Path, bundle: Path | None, say: Callable[[str], None]) -> Counted:
    """Start an etcd and an API server from a backup on this machine, and read all objects.

    Args:
        backup: The backup.
        base: Folder that relative paths in its cluster.yaml start from, such as those of artifacts.
        bundle: Has the programs; None for the places that its cluster.yaml names.
        say: Told what is done.

    Returns:
        The objects.

    Raises:
        BackupError: They don't start from it, or objects can't be read.
        ArtifactError: A program could not be had.
        ConfigError: Its cluster.yaml can't be used.
        UnknownReleaseError: This version of k8sbootstrap does not know its release.
    """
    if platform.system() != "Linux":
        raise BackupError(
            "etcd and the API server can be started on Linux alone. Nothing is wrong with the files in the "
            "backup",
            hint="Run it on Linux, or with --no-trial.",
        )
    config = load_settings(backup.folder / sealed.CLUSTER_FILE, bundle)
    say(f"Getting the programs of Kubernetes {backup.manifest.kubernetes}")
    programs = _programs(backup, config, base)
    say("Starting etcd and an API server from it")
    with trial.running(backup, config, programs) as api:
        found = api.count()
    if found.unreadable:
        lines = [f"{name}: {printable(why)[:300]}" for name, why in found.unreadable.items()]
        raise BackupError(
            f"{backup.file}: objects of {some(sorted(found.unreadable), _SHOWN)} can't be read:\n"
            + "\n".join(lines[:_SHOWN]),
            hint="If API servers encrypt objects in etcd with a key of your own: it is not in the backup.",
        )
    return found


def _programs(backup: Backup, config: Cluster, base: Path) -> dict[str, Path]:
    """Where the programs are on this machine."""
    machine = platform.machine()
    found = release(
        backup.manifest.kubernetes,
        MACHINES.get(machine, machine),
        config.runtime.name,
        config.own_releases,
        source=config.runtime.source,
    )
    files = {name: found.binaries[name] for name in trial.PROGRAMS}
    state = State(backup.folder / "state")
    state.create()
    if (backup.folder / sealed.PINS).exists():
        (backup.folder / sealed.PINS).rename(state.artifact_pins)
    fetched = fetch_all(files.values(), config.artifacts, state, base, cache_dir(), proxy=config.proxy)
    return {name: fetched[file.key].path for name, file in files.items()}

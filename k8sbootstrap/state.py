"""The state directory: what this program keeps between runs, next to cluster.yaml."""

import os
import shlex
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.errors import StateError

ADOPT = (
    "If the cluster runs, run k8sbootstrap adopt: it reads the state back from a master. If it is a new "
    "cluster, run k8sbootstrap up. Or name another cluster file with -f."
)
"""What to do where a cluster's state is missing."""


@dataclass(frozen=True)
class State:
    """Paths under ``.k8sbootstrap/CLUSTER/`` beside the cluster file. The directory is mode 0700.

    Args:
        directory: ``<folder of cluster.yaml>/.k8sbootstrap/<cluster name>``.
    """

    directory: Path

    @classmethod
    def beside(cls, cluster_file: Path, cluster_name: str) -> "State":
        """The state that belongs to ``cluster_file``; nothing is created yet.

        Raises:
            StateError: It is there and belongs to another user, who could exchange the cluster's keys.
        """
        top = cluster_file.resolve().parent / ".k8sbootstrap"
        for folder in (top, top / cluster_name):
            _refuse_strangers(folder)
        return cls(top / cluster_name)

    @property
    def pki(self) -> Path:
        """Certificates, keys and component kubeconfigs (see ``k8sbootstrap.pki``)."""
        return self.directory / "pki"

    @property
    def known_hosts(self) -> Path:
        """Host keys that were accepted, in OpenSSH's known_hosts format."""
        return self.directory / "known_hosts"

    @property
    def kubeconfig(self) -> Path:
        """The admin kubeconfig, mode 0600."""
        return self.directory / "admin.kubeconfig"

    @property
    def inventory(self) -> Path:
        """The Ansible inventory of the latest run."""
        return self.directory / "inventory"

    @property
    def addons(self) -> Path:
        """The objects that are applied once the cluster is up (JSON, mode 0600)."""
        return self.directory / "addons.json"

    @property
    def charts(self) -> Path:
        """Charts as they were rendered (see ``k8sbootstrap.addons.charts``), which may be secret."""
        return self.directory / "charts"

    @property
    def users(self) -> Path:
        """The certificates of users to whom kubeconfigs were issued, without their keys."""
        return self.directory / "users"

    @property
    def renewal(self) -> Path:
        """A renewal of certificates that has begun (see ``k8sbootstrap.pki.renewal``)."""
        return self.directory / "renewal.json"

    @property
    def rotation(self) -> Path:
        """CAs and keys of a rotation that has begun (see ``k8sbootstrap.pki.rotation``)."""
        return self.directory / "rotation"

    @property
    def restore(self) -> Path:
        """A backup that is restored (see ``k8sbootstrap.actions.backup.restoration``)."""
        return self.directory / "restore"

    @property
    def runs(self) -> Path:
        """One folder per run: events, Ansible's own log, verify's results."""
        return self.directory / "runs"

    @property
    def conformance(self) -> Path:
        """What the newest run of Conformance said (JSON)."""
        return self.directory / "conformance.json"

    @property
    def conformance_log(self) -> Path:
        """What the tests printed that failed in it."""
        return self.directory / "conformance.log"

    @property
    def hosts(self) -> Path:
        """Hosts that the cluster has, and how to reach them (JSON, mode 0600)."""
        return self.directory / "hosts.json"

    @property
    def lock(self) -> Path:
        """Held while a command changes hosts."""
        return self.directory / "lock"

    @property
    def artifact_pins(self) -> Path:
        """sha256 of files that no published checksum covers, pinned at first use (JSON)."""
        return self.directory / "artifact-pins.json"

    @property
    def registry_logins(self) -> Path:
        """Logins to image registries (see ``k8sbootstrap.inventory.logins``), mode 0600."""
        return self.directory / "registry-logins.json"

    @property
    def snapshot_store(self) -> Path:
        """The bucket for snapshots of etcd (see ``k8sbootstrap.inventory.snapshot_store``), mode 0600."""
        return self.directory / "snapshot-store.json"

    @property
    def proxy(self) -> Path:
        """Proxy variables of hosts (see ``k8sbootstrap.inventory.proxy``), mode 0600."""
        return self.directory / "proxy.json"

    def copied_to(self, directory: Path, *names: str) -> "State":
        """A state in another directory, with copies of some files and folders of this one.

        Args:
            directory: Where it is; an empty folder.
            names: What is copied, as far as it is there: names of properties, such as ``pki``.
        """
        copy = State(directory)
        for name in names:
            source, target = getattr(self, name), getattr(copy, name)
            if source.is_dir():
                shutil.copytree(source, target)
            elif source.exists():
                shutil.copy2(source, target)
        return copy

    def create(self) -> None:
        """Make the directory, readable by its owner alone, and keep git from it: it holds keys.

        Raises:
            StateError: It is there and belongs to another user.
        """
        for folder in (self.directory.parent, self.directory):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _refuse_strangers(folder)
            with suppress(PermissionError):  # root's: only root can
                folder.chmod(0o700)
        with (
            suppress(FileExistsError, PermissionError),
            (self.directory.parent / ".gitignore").open("x") as file,
        ):
            file.write("*\n")


def no_state(cluster: str) -> str:
    """Says that a cluster's state is missing here, for a message."""
    return f"this machine has no state of the cluster {cluster}"


def _refuse_strangers(folder: Path) -> None:
    """Raise StateError where another user than this one or root owns a folder, or the link to it."""
    try:
        owners = {folder.lstat().st_uid, folder.stat().st_uid}
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError as error:
        raise StateError(
            f"this user can't read {folder}",
            hint="If it was made with sudo, run this command with sudo too, or change its owner with chown.",
        ) from error
    allowed = {0, os.geteuid()}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdecimal():
        allowed.add(int(os.environ["SUDO_UID"]))
    strangers = owners - allowed
    if strangers:
        raise StateError(
            f"{folder} belongs to the user with the id {min(strangers)}, who could replace the keys in it",
            hint=f"Move it away. Or, if you trust what is in it, run: chown -R {os.geteuid()} "
            f"{shlex.quote(str(folder))}",
        )

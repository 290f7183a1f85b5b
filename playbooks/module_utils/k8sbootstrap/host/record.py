"""The host's record: what k8sbootstrap put on it, so that drift is seen and reset takes off exactly that.

``/var/lib/k8sbootstrap/record.json``, mode 0600, root only. It holds hashes, never contents.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from typing import Any, TextIO, TypedDict, cast

from ansible.module_utils.k8sbootstrap.host.request import Leaf

DIRECTORY = "/var/lib/k8sbootstrap"
PATH = DIRECTORY + "/record.json"
ORIGINALS = DIRECTORY + "/originals"


class _Written(TypedDict):
    sha256: str
    stat: list[int] | None
    """Size, inode and ctime in ns, by which it need not be hashed again; None while it is written."""
    original: str | None
    """Name in ``ORIGINALS`` of the file that was there before."""


class FileNotes(TypedDict, total=False):
    """What is kept of a certificate, or of a file whose settings are merged with somebody else's."""

    leaf: Leaf
    """Of a certificate, its key, or a kubeconfig."""

    theirs: bool
    """Whether somebody else's are in it."""
    settings: list[str]
    """Names of ours."""


class FileEntry(_Written, FileNotes, total=False):
    """A file of a component, as it was written."""

    mode: str
    """Octal, in four digits."""
    uid: int
    gid: int


class Pushed(TypedDict):
    """An image that was put into the cluster's registry."""

    name: str
    tag: str
    archives: dict[str, str]
    """Architecture to the sha256 of the archive."""
    digest: str


class RegistryEntry(TypedDict, total=False):
    """What the cluster's registry was given; empty where there is none."""

    data: str
    """Folder of its storage."""
    images: dict[str, Pushed]
    """By reference."""


class _OfRuntime(TypedDict, total=False):
    runtime: str
    """docker or containerd, empty for components that load no images."""


class Component(_OfRuntime):
    """What one component has on the host."""

    files: dict[str, FileEntry]
    directories: list[str]
    parents: list[str]
    """Those of the directories that were only made to hold others."""
    users: list[str]
    units: list[str]
    images: list[str]
    """Images that must stay."""
    registry: RegistryEntry
    needs: list[str]
    """Paths that programs made and can't do without."""
    digest: str
    """Of the inputs that were applied completely."""


class Found(TypedDict):
    """A folder that was there before."""

    mode: str
    uid: int
    gid: int
    entries: list[str] | None
    """Names that were there; None where only files in the record go."""


class UnitBefore(TypedDict):
    """A unit that was there before."""

    enabled: bool
    active: bool


class Present(TypedDict):
    """What the host has, by name."""

    packages: list[str]
    users: list[str]
    groups: list[str]


class Installing(Present):
    """An installation of packages not seen to its end: what the host had before it."""

    asked: list[str]
    """Packages that it was asked for."""


class FirewallWanted(TypedDict, total=False):
    """What must get through firewalld; empty before the first run."""

    sources: list[str]
    """Addresses and networks of the cluster."""
    ports: list[str]
    """Ports that everybody may use."""
    addresses: list[str]
    """This host's."""
    openings: list[list[str]] | None
    """What that came to; None where firewalld did not run."""


class Wanted(TypedDict):
    """What the host should have."""

    packages: list[str]
    modules: list[str]
    sysctls: dict[str, str]
    booleans: list[str]
    firewall: FirewallWanted


class EtcdMember(TypedDict, total=False):
    """The etcd member here; empty where it was never allowed to begin."""

    members: dict[str, str]
    """Name to address of the members that it was begun with."""
    formed: bool
    """Whether it has formed a cluster with them."""
    restoring: str
    """Id of the restore that has begun here and not ended."""
    placed: str
    """The same once the member's data is that of the snapshot."""


class _Later(TypedDict, total=False):
    installing: Installing
    package_users: list[str]
    package_groups: list[str]
    nft_tables: list[str]
    """Tables of nftables that were there before."""


class Data(_Later):
    """All of a host's record."""

    version: int
    """1."""
    cluster: str
    components: dict[str, Component]
    package_manager: str
    """apt or dnf."""
    packages: list[str]
    """Packages that were installed."""
    sysctls: dict[str, str]
    """Name to value before."""
    modules: list[str]
    """Kernel modules that were loaded."""
    selinux_booleans: dict[str, str]
    """Name to value before."""
    firewall: list[list[str]]
    """Openings that were made in firewalld."""
    firewall_files: list[str]
    """Files that it made for them."""
    residue: list[str]
    """Paths that were not there before and that programs create."""
    found: dict[str, Found]
    """Folders that were there before, see trees.py."""
    units_before: dict[str, UnitBefore]
    pending_restarts: list[str]
    """Units whose inputs changed since they were last started."""
    pending_reloads: list[str]
    """Those that need not restart for it."""
    wanted: Wanted
    objects: list[dict[str, Any]]
    """Objects of Kubernetes; on the master that applied them, as are the next two."""
    nodes: dict[str, dict[str, Any]]
    """Name to labels and taints."""
    addons: int
    """How many objects."""
    etcd: EtcdMember
    made_with: dict[str, str]
    """What can't be changed any more: key of cluster.yaml to value."""


class Record:
    """The record of one host; ``save`` writes it atomically.

    Until this process ends, what a master's timer starts waits before it renews certificates: it writes the
    record, too.

    Args:
        check_mode: Never write it.
    """

    def __init__(self, check_mode: bool = False) -> None:
        self.check_mode = check_mode
        self._lock: TextIO | None = None
        if not check_mode and os.path.exists(PATH):
            self._hold()
        try:
            with open(PATH, encoding="utf-8") as handle:
                known: dict[str, Any] = json.load(handle)
        except FileNotFoundError:
            known = {}
        empty = _empty()
        wanted = {**empty["wanted"], **known.get("wanted", {})}
        self.data = cast("Data", {**empty, **known, "wanted": wanted})
        self._saved = json.dumps(self.data, sort_keys=True)

    def component(self, name: str) -> Component:
        """The part of the record that belongs to one component; made when it is not there."""
        part = cast("dict[str, Any]", self.data["components"].setdefault(name, _empty_component()))
        for key, empty in _empty_component().items():
            part.setdefault(key, empty)
        return cast("Component", part)

    def pend(self, units: list[str], *, reload: bool = False) -> None:
        """Note that these units must restart, and save: a run killed right after still restarts them.

        Args:
            units: Their names.
            reload: Reading their configuration again is enough.
        """
        waiting = self.data["pending_reloads" if reload else "pending_restarts"]
        missing = [unit for unit in units if unit not in waiting]
        if missing:
            waiting += missing
            self.save()

    def restarted(self, unit: str) -> None:
        """Note that the unit runs with its current inputs."""
        for waiting in (self.data["pending_restarts"], self.data["pending_reloads"]):
            if unit in waiting:
                waiting.remove(unit)
        self.save()

    def _hold(self) -> None:
        if self._lock is None:  # closing a second one would let go of the first, too
            self._lock = open(PATH + ".lock", "a")  # noqa: SIM115 - open as long as this process lives
            fcntl.lockf(self._lock, fcntl.LOCK_EX)

    def save(self) -> None:
        """Write the record if it changed."""
        text = json.dumps(self.data, sort_keys=True)
        if self.check_mode or text == self._saved:
            return
        os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
        self._hold()
        write_atomically(PATH, text.encode(), 0o600, 0, 0)
        self._saved = text


def _empty() -> Data:
    return {
        "version": 1,
        "cluster": "",
        "components": {},
        "package_manager": "apt",
        "packages": [],
        "sysctls": {},
        "modules": [],
        "selinux_booleans": {},
        "firewall": [],
        "firewall_files": [],
        "residue": [],
        "found": {},
        "units_before": {},
        "pending_restarts": [],
        "pending_reloads": [],
        "wanted": {"packages": [], "modules": [], "sysctls": {}, "booleans": [], "firewall": {}},
        "objects": [],
        "nodes": {},
        "addons": 0,
        "etcd": {},
        "made_with": {},
    }


def _empty_component() -> Component:
    return {
        "files": {},
        "directories": [],
        "users": [],
        "parents": [],
        "units": [],
        "images": [],
        "registry": {},
        "needs": [],
        "digest": "",
    }


def write_atomically(path: str, content: bytes, mode: int, uid: int, gid: int) -> None:
    """Replace ``path`` in one step: readers see the old file or the new one, never a part.

    Raises:
        OSError: the directory is missing or full; the old file is untouched then.
    """
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix="." + os.path.basename(path) + ".")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
            os.fchmod(out.fileno(), mode)
            os.fchown(out.fileno(), uid, gid)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise

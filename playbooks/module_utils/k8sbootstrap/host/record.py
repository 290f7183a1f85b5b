"""The host's record: what k8sbootstrap put on it, so that drift is seen and reset takes off exactly that.

``/var/lib/k8sbootstrap/record.json``, mode 0600, root only. It holds hashes, never contents.
"""

from __future__ import annotations

import json
import os
import tempfile

DIRECTORY = "/var/lib/k8sbootstrap"
PATH = DIRECTORY + "/record.json"
ORIGINALS = DIRECTORY + "/originals"


class Record:
    """The record of one host; ``save`` writes it atomically.

    ``data`` keys: ``version`` (1), ``cluster`` (name), ``components`` (name → files, directories, parents
    (those of them that were only made to hold others), users, units, images (that must stay), registry (its
    storage, and the images that were put into it), needs (paths that programs made and can't do without),
    digest (of the inputs that were applied completely)), ``residue`` (paths that were not there before and
    that programs create), ``found`` (folders that were there before, see trees.py),
    ``units_before`` (units that were there before → whether they were enabled and active),
    ``package_manager`` (apt or dnf),
    ``packages`` (names that were installed), ``installing`` (an installation of packages not seen to its end:
    what it was asked for, and what was there before), ``sysctls`` (name to value before), ``modules`` (kernel
    modules loaded), ``selinux_booleans`` (name to value before),
    ``firewall`` (openings that were made in firewalld), ``firewall_files`` (that it made for them),
    ``pending_restarts`` (units whose inputs changed since they were last started) and ``pending_reloads``
    (those that need not restart for it), ``wanted`` (packages, modules, sysctls, booleans and firewall that
    the host should have), and on the master that applied them ``objects`` (of Kubernetes), ``nodes`` (name →
    labels and taints) and ``addons`` (how many of those objects). ``etcd``: ``members`` (name → address) that
    the member here was begun with, and whether it has ``formed`` a cluster with them; empty where it was
    never allowed to begin. ``made_with``: what can't be changed any more, key of cluster.yaml to value.
    """

    def __init__(self, check_mode: bool = False) -> None:
        self.check_mode = check_mode
        try:
            with open(PATH, encoding="utf-8") as handle:
                self.data = json.load(handle)
        except FileNotFoundError:
            self.data = {"version": 1}
        for key, empty in (
            ("cluster", ""),
            ("components", {}),
            ("package_manager", "apt"),
            ("packages", []),
            ("sysctls", {}),
            ("modules", []),
            ("selinux_booleans", {}),
            ("firewall", []),
            ("firewall_files", []),
            ("residue", []),
            ("found", {}),
            ("units_before", {}),
            ("pending_restarts", []),
            ("pending_reloads", []),
            ("wanted", {}),
            ("objects", []),
            ("nodes", {}),
            ("addons", 0),
            ("etcd", {}),
            ("made_with", {}),
        ):
            self.data.setdefault(key, empty)
        for key, empty in (
            ("packages", []),
            ("modules", []),
            ("sysctls", {}),
            ("booleans", []),
            ("firewall", {}),
        ):
            self.data["wanted"].setdefault(key, empty)
        self._saved = json.dumps(self.data, sort_keys=True)

    def component(self, name: str) -> dict:
        """The part of the record that belongs to one component; made when it is not there."""
        part = self.data["components"].setdefault(name, {})
        for key, empty in (
            ("files", {}),
            ("directories", []),
            ("users", []),
            ("parents", []),
            ("units", []),
            ("images", []),
            ("registry", {}),
            ("needs", []),
            ("digest", ""),
        ):
            part.setdefault(key, empty)
        return part

    def pend(self, units: list, *, reload: bool = False) -> None:
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

    def save(self) -> None:
        """Write the record if it changed."""
        text = json.dumps(self.data, sort_keys=True)
        if self.check_mode or text == self._saved:
            return
        os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
        write_atomically(PATH, text.encode(), 0o600, 0, 0)
        self._saved = text


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

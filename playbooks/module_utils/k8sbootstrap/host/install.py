"""Installs packages without their units starting, at once or in the background, and records what was new."""

from __future__ import annotations

import fcntl
import grp
import json
import os
import pwd
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import cast

from ansible.module_utils.k8sbootstrap.host.packages import MANAGERS, Manager, PackageError, refuse_removal
from ansible.module_utils.k8sbootstrap.host.record import DIRECTORY, Present, Record, write_atomically

_AFTER = DIRECTORY + "/packages-after.json"
"""What the host had when an installation in the background ended: what comes later is somebody else's."""
_LOCK = DIRECTORY + "/packages.lock"


class Installation:
    """Installing packages on this host.

    Args:
        record: The host's record; keeps which packages, users and groups were new.
        manager: Name of the package manager.
        hold_units: Units that must not start meanwhile; their roles start them.
        proxy: Proxy variables for the package manager.
    """

    def __init__(self, record: Record, manager: str, hold_units: list[str], proxy: Mapping[str, str]) -> None:
        self._record = record
        self._manager = MANAGERS[manager]
        self._hold = hold_units
        self._proxy = proxy

    def missing(self, wanted: list[str]) -> list[str]:
        """Those packages that are not installed."""
        there = self._manager.installed()
        return [name for name in wanted if name not in there]

    def refuse_losses(self, names: list[str], origin: tuple[str, ...] = ()) -> None:
        """See that no package of the host would have to go for these. Changes nothing.

        Raises:
            PackageError: Some would; the text names them.
        """
        refuse_removal(names, self._manager.removed_by(names, origin))

    def now(self, names: list[str], origin: tuple[str, ...] = ()) -> None:
        """Install packages.

        Raises:
            PackageError: It did not work.
        """
        self._note_before(names)
        try:
            with _locked():
                self._install(names, origin)
        finally:
            settle(self._record)

    def begin(self, names: list[str]) -> None:
        """Install packages in a process of its own, which goes on when this one has ended.

        What goes wrong there nobody is told: whoever calls ``settle`` finds packages missing, and installs
        them then.
        """
        self._note_before(names)
        lock = _open_lock()
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fork():
            os.close(lock)  # the other process holds on to it: the lock is of the open file
            return
        try:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nothing, stream)
            self._install(names, ())
        except (PackageError, OSError):
            pass
        finally:
            with suppress(OSError):
                text = json.dumps(_present(self._manager)).encode()
                write_atomically(_AFTER, text, 0o600, os.getuid(), os.getgid())
            os._exit(0)

    def _note_before(self, names: list[str]) -> None:
        with suppress(FileNotFoundError):
            os.unlink(_AFTER)
        self._record.data["installing"] = {"asked": names, **_present(self._manager)}
        self._record.save()

    def _install(self, names: list[str], origin: tuple[str, ...]) -> None:
        # --runtime masks vanish with a reboot, so a run killed here can't leave a service masked for good
        held = [unit for unit in self._hold if _systemctl("is-active", unit) != 0]
        if held:
            _systemctl("mask", "--runtime", *held)
        try:
            self._manager.install(names, self._proxy, origin)
        finally:
            if held:
                _systemctl("unmask", "--runtime", *held)


def settle(record: Record) -> list[str]:
    """Wait for an installation in the background, and record what it brought; nothing where there was none.

    Returns:
        The packages that it was asked for and that are there now.
    """
    before = record.data.get("installing")
    if before is None:
        return []
    with _locked():
        after = _after() or _present(MANAGERS[record.data["package_manager"]])
    made = {name for part in record.data["components"].values() for name in part.get("users", [])}
    packages = set(after["packages"]) - set(before["packages"])
    users = set(after["users"]) - set(before["users"]) - made
    groups = set(after["groups"]) - set(before["groups"]) - made
    record.data["packages"] = sorted({*record.data["packages"], *packages})
    record.data["package_users"] = sorted({*record.data.get("package_users", []), *users})
    record.data["package_groups"] = sorted({*record.data.get("package_groups", []), *groups})
    del record.data["installing"]
    record.save()
    return [name for name in before["asked"] if name in after["packages"]]


def _after() -> Present | None:
    """What the installation in the background left behind; None where it did not come to its end."""
    try:
        with open(_AFTER, encoding="utf-8") as handle:
            return cast("Present", json.load(handle))
    except FileNotFoundError:
        return None


def _present(manager: Manager) -> Present:
    """Packages, users and groups that the host has."""
    return {
        "packages": sorted(manager.installed()),
        "users": sorted(user.pw_name for user in pwd.getpwall()),
        "groups": sorted(group.gr_name for group in grp.getgrall()),
    }


@contextmanager
def _locked() -> Iterator[None]:
    lock = _open_lock()
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _open_lock() -> int:
    os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
    return os.open(_LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)


def _systemctl(*arguments: str) -> int:
    return subprocess.run(["systemctl", *arguments], check=False, capture_output=True).returncode

"""Takes one component off a host that goes on without it."""

from __future__ import annotations

import os
import subprocess

from ansible.module_utils.k8sbootstrap.changes import CONFIGURATION, Change, change
from ansible.module_utils.k8sbootstrap.host.files import restore
from ansible.module_utils.k8sbootstrap.host.record import Component, Record
from ansible.module_utils.k8sbootstrap.host.request import Unit
from ansible.module_utils.k8sbootstrap.host.units import give_back, stop_for_good


def take_off(name: str, record: Record, check_mode: bool) -> list[Change]:
    """Stop a component's units and remove its files; what was there before it is put back.

    Its packages stay until the host is reset, and so do folders that others have put something into.

    Returns:
        What was, or in check mode would be, changed; nothing where the record does not have the component.

    Raises:
        subprocess.CalledProcessError: systemctl failed.
        OSError: A file would not go.
    """
    if name not in record.data["components"]:
        return []
    part = record.component(name)
    changes = [change("unit", "stop", unit, CONFIGURATION) for unit in part["units"]]
    changes += [change("file", "remove", dest, CONFIGURATION) for dest in sorted(part["files"])]
    if check_mode:
        return changes
    for unit in part["units"]:
        _systemctl("disable", "--now", unit)
        record.restarted(unit)
    for dest in sorted(part["files"]):
        restore(dest, part["files"].pop(dest)["original"])
        record.save()
    record.data["residue"] += _leave_folders(part)
    _systemctl("daemon-reload")
    for unit in part["units"]:
        if unit in record.data["units_before"]:
            give_back(unit, record.data["units_before"].pop(unit))
    del record.data["components"][name]
    record.save()
    return changes


def stop_retired(name: str, wanted: list[Unit], record: Record, check_mode: bool) -> list[Change]:
    """Stop units that a component no longer has; those that were there before it are left alone.

    Returns:
        What was, or in check mode would be, changed.

    Raises:
        UnitError: One does not stop.
    """
    part = record.component(name)
    names = {unit["name"] for unit in wanted}
    gone = [unit for unit in part["units"] if unit not in names and unit not in record.data["units_before"]]
    if gone and not check_mode:
        stop_for_good(gone)
        part["units"] = [unit for unit in part["units"] if unit not in gone]
        for unit in gone:
            record.restarted(unit)
    return [change("unit", "stop", unit, CONFIGURATION) for unit in gone]


def _leave_folders(part: Component) -> list[str]:
    """Remove a component's folders that are empty; the others, but for those that only held some of them."""
    left = []
    for path in sorted(part["directories"], reverse=True):
        if os.path.isdir(path) and not os.listdir(path):
            os.rmdir(path)
        elif os.path.isdir(path) and path not in part["parents"]:
            left.append(path)
    return left


def _systemctl(*arguments: str) -> None:
    subprocess.run(["systemctl", *arguments], check=True, capture_output=True, text=True)

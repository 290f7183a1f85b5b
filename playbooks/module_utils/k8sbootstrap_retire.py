"""Takes one component off a host that goes on without it."""

from __future__ import annotations

import os
import subprocess

from ansible.module_utils.k8sbootstrap_changes import CONFIGURATION, change
from ansible.module_utils.k8sbootstrap_files import restore
from ansible.module_utils.k8sbootstrap_record import Record


def take_off(name: str, record: Record, check_mode: bool) -> list:
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
    for path in sorted(part["directories"], reverse=True):
        if os.path.isdir(path) and os.listdir(path):
            record.data["residue"].append(path)
        elif os.path.isdir(path):
            os.rmdir(path)
    _systemctl("daemon-reload")
    del record.data["components"][name]
    record.save()
    return changes


def _systemctl(*arguments: str) -> None:
    subprocess.run(["systemctl", *arguments], check=True, capture_output=True, text=True)

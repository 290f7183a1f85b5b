"""Runs on a host, never on the controller: one step of rebuilding etcd from a snapshot.

It is sent over SSH with the modules that it imports, and with a JSON document as its one argument. ``do`` in
it says what: ``stage``, ``discard``, ``mark``, ``stop``, ``extract``, ``place``, ``start`` or ``finish``; the
other keys are arguments of the function of that name in ``kube/etcd_restore.py``.

It prints an object: what the step returned, or ``{"problem": TEXT}``. Standard library only, Python 3.9 and
later.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.k8sbootstrap.host.record import Record
from ansible.module_utils.k8sbootstrap.host.units import UnitError, stop_for_good
from ansible.module_utils.k8sbootstrap.kube import etcd_restore
from ansible.module_utils.k8sbootstrap.kube.etcd import mark
from ansible.module_utils.k8sbootstrap.kube.etcd_restore import RestoreError
from ansible.module_utils.k8sbootstrap.kube.etcd_snapshot import SnapshotError


def step(do: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Take one step; what it returned."""
    done = True
    if do == "stage":
        return etcd_restore.stage(**wanted)
    if do == "extract":
        return etcd_restore.extract(Path(wanted["folder"]), wanted["name"])
    if do == "discard":
        etcd_restore.discard()
    elif do == "mark":
        mark(Record(), **wanted)
    elif do == "stop":
        done = stop_for_good(**wanted)
    elif do == "place":
        done = etcd_restore.place(Record(), **wanted)
    elif do == "start":
        etcd_restore.start(**wanted)
    else:
        etcd_restore.finish(Record())
    return {"done": done}


def main() -> None:
    """Print what came of it."""
    wanted = json.loads(sys.argv[1])
    try:
        answer = step(wanted.pop("do"), wanted)
    except (RestoreError, SnapshotError, UnitError, OSError, ValueError, LookupError) as error:
        answer = {"problem": str(error)}
    sys.stdout.write(json.dumps(answer))


main()

"""Run records to make reports from: written by hand, in the form in which runs leave them."""

import json
import shutil
from pathlib import Path
from typing import Any

from k8sbootstrap.state import State
from tests.cluster_yaml import cluster_yaml

DATA = Path(__file__).parent / "unit" / "report" / "data"
INVENTORY = Path(__file__).parent / "unit" / "inventory" / "golden"
ID = "20261125T080000Z-0000aa"
SUMMARY: dict[str, Any] = {
    "id": ID,
    "command": "k8sbootstrap up",
    "outcome": "failed",
    "error": (
        "2 of 5 hosts failed; the others continued\n"
        'worker2 could not be reached at "Install packages and load kernel settings" '
        "(Prepare hosts, role host):\n"
        "    no route to host\n"
        'master3 failed at "Install and start etcd" (etcd, role etcd):\n'
        "    no space left"
    ),
    "started": "2026-11-24T20:00:00+00:00",
    "seconds": 45.2,
    "steps": [],
    "phases": [],
    "hosts": {},
    "hint": "Fix the failures above, then run the same command again: it continues from there.",
}
PREFLIGHT = SUMMARY | {"error": "1 host is not fit:\n  512 MB < 1700 MB & <no> swap", "hint": "add memory"}
CLUSTER = cluster_yaml("name: m1, address: 192.0.2.11, roles: [master, worker]")


def make_run(
    state: State,
    events: str,
    *,
    name: str = ID,
    summary: dict[str, Any] | None = None,
    verify: bool = False,
    inventory: bool = False,
) -> Path:
    """A run's folder.

    Args:
        state: Where runs are kept; made if it is not there.
        events: Name of a file of events in ``data``, or the events themselves.
        name: The run's id.
        summary: None for a run that did not come to its end.
        verify: Whether verify ran.
        inventory: Whether a playbook ran.
    """
    directory = state.runs / name
    directory.mkdir(parents=True)
    text = events if events.startswith("{") or not events else (DATA / f"{events}.jsonl").read_text()
    (directory / "events.jsonl").write_text(text)
    if summary is not None:
        (directory / "summary.json").write_text(json.dumps(summary | {"id": name}))
    if verify:
        shutil.copy(DATA / "verify.json", directory)
    if inventory:
        shutil.copytree(INVENTORY, directory / "inventory")
    return directory


def lines(*events: dict[str, Any]) -> str:
    """Events as they are in a record; what they all have is filled in."""
    task = {"task": "t", "role": "", "action": "x", "seconds": 1, "handler": False, "play": "p"}
    return "".join(json.dumps({"v": 1} | task | event) + "\n" for event in events)


def large_run(hosts: int) -> str:
    """Events of a run of several phases on that many hosts, each of which gets the same file."""
    names = [f"node{number:03}" for number in range(hosts)]
    events: list[dict[str, Any]] = [
        {"kind": "run_started", "time": 1000.0, "command": "k8sbootstrap up", "program": "0.1.0"}
    ]
    now = 1001.0
    diff = [{"prepared": "--- /dev/null\n+++ /etc/demo.conf\n@@ -0,0 +1,40 @@\n" + "+a line = 1\n" * 40}]
    for phase in ("host", "container_runtime", "kubelet", "pod_network", "kube_proxy"):
        events.append({"kind": "play_started", "time": now, "phase": phase, "play": phase, "hosts": names})
        for number in range(4):
            task = {"phase": phase, "task": f"Task {number} of {phase}", "role": phase, "action": "component"}
            events.append({"kind": "task_started", "time": now, **task, "handler": False})
            speeds = sorted((5.0 + (place * 7919 % 997) / 100, host) for place, host in enumerate(names))
            for seconds, host in speeds:
                ended = {"time": now + seconds, "host": host, "status": "changed", "seconds": seconds}
                events.append({"kind": "task_result", **task, **ended, "changes": ["a file"], "diff": diff})
            now += 15.5
    events.append(
        {"kind": "stats", "time": now, "hosts": {name: {"ok": 20, "changed": 20} for name in names}}
    )
    return lines(*events)

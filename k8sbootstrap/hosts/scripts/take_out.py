"""Runs on a host, never on the controller: one step of taking a host out of service, or of giving it back.

It is sent over SSH with the modules that it imports, and with a JSON document as its one argument:

``{"do": "drain", "name", "reason", "timeout", "undone"}`` on a master: pods go to other nodes.
``{"do": "resume", "name", "boot", "commands", "timeout"}`` on a master: once Ready, pods go there.
``{"do": "delete", "name"}`` on a master: the Node is deleted, and what is left of its pods.
``{"do": "spare", "address"}`` on the host of another etcd member: the others can do without the member there.
``{"do": "leave", "address"}`` on the host of another etcd member: the member there leaves etcd.
``{"do": "stop", "groups"}`` on the host itself: services end, one group after another. A boot starts them.
``{"do": "start", "units"}`` on the host itself: its services start.
``{"do": "retire", "units"}`` on the host itself: its services end, and don't start after a boot.
``{"do": "reboot"}`` on the host itself.

It prints ``{"done", "problem"}``: whether there was something to do, and why it failed. Standard library
only, Python 3.9 and later.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from ansible.module_utils.k8sbootstrap.host.units import UnitError, stop_for_good
from ansible.module_utils.k8sbootstrap.kube.drain import DrainError
from ansible.module_utils.k8sbootstrap.kube.etcd_join import EtcdError
from ansible.module_utils.k8sbootstrap.kube.etcd_leave import leave, spare
from ansible.module_utils.k8sbootstrap.kube.kubectl import KubectlError
from ansible.module_utils.k8sbootstrap.kube.leave import delete
from ansible.module_utils.k8sbootstrap.kube.pause import drain, resume

if TYPE_CHECKING:
    from collections.abc import Callable


def stop(groups: list[list[str]]) -> bool:
    """Stop services that are there with the sockets that would start them, each group at once."""
    stopped = [_systemctl(_there(units, "TriggeredBy"), "stop") for units in groups]
    return any(stopped)


def start(units: list[str]) -> bool:
    """Start services that are there, and the sockets that start them."""
    return _systemctl(_there(units, "TriggeredBy"), "start")


def reboot() -> bool:
    """Have systemd reboot the host, after this program has ended."""
    return _systemctl(["reboot"], "--no-block")


def _there(units: list[str], more: str = "") -> list[str]:
    """Those of the services that systemd knows, and the units that a property of theirs names."""
    show = ["systemctl", "show", f"--property=Id,LoadState,{more}".rstrip(","), *units]
    shown = subprocess.run(show, check=False, capture_output=True, text=True).stdout
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.split("\n\n")]
    there = [block for block in blocks if block.get("LoadState") == "loaded"]
    others = [name for block in there for name in block.get(more, "").split()]
    return list(dict.fromkeys([*others, *(block["Id"] for block in there)]))


def _systemctl(words: list[str], *verb: str) -> bool:
    """Have systemd do something, if there is something to do it with; whether there was.

    Raises:
        ValueError: It does not.
    """
    if not words:
        return False
    command = ["systemctl", *verb, *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
    return True


DO: dict[str, Callable[..., bool]] = {
    "drain": drain,
    "resume": resume,
    "delete": delete,
    "spare": spare,
    "leave": leave,
    "stop": stop,
    "start": start,
    "retire": stop_for_good,
    "reboot": reboot,
}


def main() -> None:
    """Print what came of it."""
    try:
        wanted: dict[str, Any] = json.loads(sys.argv[1])
        answer = {"done": DO[wanted.pop("do")](**wanted), "problem": ""}
    except (DrainError, EtcdError, KubectlError, UnitError, OSError, ValueError) as error:
        answer = {"done": False, "problem": str(error)}
    sys.stdout.write(json.dumps(answer))


main()

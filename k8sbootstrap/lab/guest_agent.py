"""Running commands in a virtual machine without its network, by QEMU's guest agent."""

import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab.libvirt import virsh

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    code: int
    """Its exit code; 128 and the signal's number when a signal ended it."""
    output: bytes
    errors: bytes


def execute(domain: str, command: Sequence[str]) -> Ended:
    """Run a command as root in a virtual machine, and wait until it ends. It has no input.

    Args:
        domain: The virtual machine.
        command: An absolute path and arguments.

    Raises:
        LabError: The agent does not answer, or the program is not there.
    """
    program, *arguments = command
    began = _ask(domain, "guest-exec", {"path": program, "arg": arguments, "capture-output": True})
    pause = _FIRST_PAUSE
    while not (status := _ask(domain, "guest-exec-status", {"pid": began["pid"]}))["exited"]:
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return _ended(status)


def _ended(status: Mapping[str, Any]) -> Ended:
    code = status["exitcode"] if "exitcode" in status else 128 + status["signal"]
    return Ended(
        code, base64.b64decode(status.get("out-data", "")), base64.b64decode(status.get("err-data", ""))
    )


def _ask(domain: str, name: str, arguments: Mapping[str, object]) -> dict[str, Any]:
    try:
        said = virsh("qemu-agent-command", domain, json.dumps({"execute": name, "arguments": arguments}))
    except LabError as error:
        reason = str(error).splitlines()[-1]
        raise LabError(
            f"the guest agent of {domain} did not do it: {reason}",
            hint="It answers once the virtual machine has booted.",
        ) from error
    answer: dict[str, Any] = json.loads(said)["return"]
    return answer

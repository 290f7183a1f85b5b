"""Runs on a host, never on the controller: runs kube-bench there and prints what it says of each control.

It is sent over SSH, with a request (JSON) as its one argument, and prints one JSON document. Program and
files are only in memory: in a file system that no other process sees, and that is gone once this process
ends, for whatever reason. Standard library only, Python 3.9 and later.

Request: ``{"program": BASE64 of gzip, "files": {PATH: TEXT}, "benchmark", "kubeconfig", "seconds",
"runs": [{"target", "only": [ID, ...], "skip": [ID, ...]}, ...]}``. Answer: ``{"runs": [{"target", "error",
"controls": [{"id", "status", "ran", "seen", "reason", "remediation"}, ...]}, ...]}``.

kube-bench reads command lines, environments and files of the components. They may have secrets. So what it
prints does not leave the host: of what it saw only modes and owners of files go into the answer, and the
values of flags that a control names.
"""

from __future__ import annotations

import base64
import ctypes
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MOUNT_POINT = Path("/mnt")
"""Exists on every host. What is mounted there for others stays as it is."""
NEW_NAMESPACE = 0x00020000
PRIVATE = (1 << 18) | (1 << 14)
BIND = 1 << 12
DIE_WITH_PARENT = 1
LONGEST = 2000
"""Characters of one text of an answer."""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SEEN = re.compile(r"permissions=[0-7]+|(?:ownership=)?[\w-]+:[\w-]+")
"""What controls print of a file: its mode or its owner."""
_FLAG = re.compile(r"'(--[\w-]+)'")
_LACKS = re.compile(r"^\S*sh: (?:line )?\d+: ([\w./\[-]+): (?:command )?not found", re.MULTILINE)
_ENDED = re.compile(r"error: (exit status \d+)\Z")

libc = ctypes.CDLL(None, use_errno=True)


def require(result: int, what: str) -> None:
    """Raise the error of a system call that failed."""
    if result:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount a file system; for the kernel, no word is a null pointer."""
    words = (word.encode() if word else None for word in (source, target, kind))
    require(libc.mount(*words, flags, data.encode() or None), f"mount {target}")


def hide() -> None:
    """Give this process mounts of its own: an empty file system, and a shell that all controls understand."""
    require(libc.unshare(NEW_NAMESPACE), "unshare")
    mount("none", "/", "", PRIVATE)
    mount("tmpfs", str(MOUNT_POINT), "tmpfs", 0, "mode=0700,size=256m")
    shell = subprocess.run(["/bin/sh", "-c", "[[ a == a ]]"], check=False, capture_output=True)
    if shell.returncode and Path("/bin/bash").exists():
        mount(str(Path("/bin/bash").resolve()), str(Path("/bin/sh").resolve()), "", BIND)


def write(request: dict[str, Any]) -> None:
    """Write program and files."""
    for name, text in request["files"].items():
        path = MOUNT_POINT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    programs = {
        "kube-bench": gzip.decompress(base64.b64decode(request["program"])),
        # without a kubelet, kube-bench looks for one in the whole file system
        "bin/kubelet": b"#!/bin/sh\n",
    }
    for name, content in programs.items():
        path = MOUNT_POINT / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o700)


def command(request: dict[str, Any], run: dict[str, Any]) -> list[str]:
    """The command of one run."""
    words = [str(MOUNT_POINT / "kube-bench"), "run", "--json", "--targets", run["target"]]
    words += ["--benchmark", request["benchmark"], "--config-dir", str(MOUNT_POINT)]
    words += ["--config", str(MOUNT_POINT / "config.yaml")]
    words += ["--check", ",".join(run["only"])] if run["only"] else []
    return words + (["--skip", ",".join(run["skip"])] if run["skip"] else [])


def end_with_parent() -> None:
    """End the process when this one ends, however that is."""
    libc.prctl(DIE_WITH_PARENT, signal.SIGKILL)


def start(request: dict[str, Any], run: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start kube-bench; what it prints goes to a file."""
    home = MOUNT_POINT / "home"  # empty: a control has a pattern that the shell would expand to files here
    home.mkdir(exist_ok=True)
    environment = {
        "HOME": str(home),
        "KUBECONFIG": request["kubeconfig"],
        "PATH": f"{SYSTEM_PATH}:{MOUNT_POINT / 'bin'}",
        "LC_ALL": "C",
    }
    with (MOUNT_POINT / f"{run['target']}.json").open("wb") as printed:
        return subprocess.Popen(
            command(request, run),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.DEVNULL,  # it may quote files
            cwd=home,
            env=environment,
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - this process has one thread
        )


def wait(process: subprocess.Popen[bytes], run: dict[str, Any], until: float) -> dict[str, Any]:
    """What a run of kube-bench said; where it does not end in time, it is ended."""
    answer: dict[str, Any] = {"target": run["target"], "error": "", "controls": []}
    try:
        process.wait(timeout=max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        answer["error"] = "kube-bench did not end in time"
        return answer
    try:
        document = json.loads((MOUNT_POINT / f"{run['target']}.json").read_bytes())
    except ValueError:
        answer["error"] = f"kube-bench failed with exit code {process.returncode}"
        return answer
    groups = [group for controls in document["Controls"] for group in controls["tests"]]
    skipped = set(run["skip"])
    answer["controls"] = [
        told(result)
        for group in groups
        for result in group["results"]
        if result["test_number"] not in skipped
    ]
    return answer


def told(result: dict[str, Any]) -> dict[str, Any]:
    """What is told of a control: nothing that may be a secret."""
    reason = failure(result["actual_value"], result.get("reason", ""))
    return {
        "id": result["test_number"],
        "status": result["status"],
        "ran": not reason,
        "seen": seen(result["actual_value"], result["expected_result"])[:LONGEST],
        "reason": reason,
        "remediation": result["remediation"].strip()[:LONGEST],
    }


def failure(actual: str, reason: str) -> str:
    """Why the command of a control could not judge; empty where it did."""
    lacking = _LACKS.search(actual) or _LACKS.search(reason.replace("\\n", "\n"))
    if lacking:
        return f"the host has no {lacking.group(1)}"
    if not reason.startswith("failed to run"):
        return ""
    ended = _ENDED.search(reason)
    return f"its command ended with {ended.group(1) if ended else 'an error'}"


def seen(actual: str, expected: str) -> str:
    """Modes and owners of files, and flags that are named in what is expected."""
    lines = [line.split(" /")[0] for line in actual.splitlines()]
    if lines and all(_SEEN.fullmatch(line) for line in lines):
        return ", ".join(dict.fromkeys(lines))
    flags = [
        re.search(rf"{flag}(?:=\S*)?(?=\s|\Z)", actual) for flag in dict.fromkeys(_FLAG.findall(expected))
    ]
    return " ".join(found.group() for found in flags if found)


def main() -> None:
    """Answer the request."""
    request = json.loads(sys.argv[1])
    hide()
    write(request)
    until = time.monotonic() + request["seconds"]
    started = [(start(request, run), run) for run in request["runs"]]
    json.dump({"runs": [wait(process, run, until) for process, run in started]}, sys.stdout)


if __name__ == "__main__":
    main()

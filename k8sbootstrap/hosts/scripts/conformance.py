"""Runs on a master, never on the controller: starts upstream's tests there, and says how far they are.

It is sent over SSH, with a request (JSON) as its one argument, and prints one JSON document. The tests run in
a service of their own (``conformance_run.py``), so they go on where a connection breaks. Standard library
only, Python 3.9 and later.

Request: ``{"do": "start", "program": TEXT, "request": for conformance_run}``, ``{"do": "look"}`` or ``{"do":
"stop"}``. ``stop`` also removes what is left of the run. Answer: ``{"unit": running, ended, gone or taken,
"copied", "error", "parts": [{"name", "processes", "total", "done", "failed", "results"}, ...]}``; there are
results only where the run has ended.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

UNIT = "k8sbootstrap-conformance.service"
FOLDER = Path("/run/k8sbootstrap-conformance")
DONE, FAILED = "•".encode(), "• [FAILED]".encode()
"""What ginkgo prints for each test that has ended."""
PRIVATE = "TemporaryFileSystem=/mnt:mode=0700,size=1g"
SECONDS_TO_STOP = 120


def start(request: dict[str, Any]) -> dict[str, Any]:
    """Start the service, unless it runs."""
    if is_active():
        return {**look(), "unit": "taken"}
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(mode=0o700)
    (FOLDER / "run.py").write_text(request["program"])
    (FOLDER / "request.json").write_text(json.dumps(request["request"]))
    (FOLDER / "asked").touch()
    words = ["systemd-run", "--quiet", "--collect", f"--unit={UNIT}", f"--property={PRIVATE}"]
    words += ["--property=KillMode=mixed", f"--property=TimeoutStopSec={SECONDS_TO_STOP}"]
    words += [sys.executable, "-I", str(FOLDER / "run.py"), str(FOLDER)]
    done = subprocess.run(words, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(FOLDER, ignore_errors=True)
        return answer("gone", {"error": f"systemd-run failed: {done.stderr.strip()[-500:]}"})
    return look()


def look() -> dict[str, Any]:
    """How far the run is."""
    active = is_active()  # before the state is read: it is written before the service ends
    with suppress(FileNotFoundError):
        os.utime(FOLDER / "asked")
    try:
        state = json.loads((FOLDER / "state.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return answer("running" if active else "gone", {})
    if state["ended"]:
        return answer("ended", state)
    for part in state["parts"]:
        part["results"] = []
    return answer("running" if active else "gone", state)


def answer(unit: str, state: dict[str, Any]) -> dict[str, Any]:
    """What is printed of a state."""
    parts = []
    for part in state.get("parts", ()):
        try:
            log = (FOLDER / f"{part['name']}.log").read_bytes()
        except FileNotFoundError:
            log = b""
        parts.append({**part, "done": log.count(DONE), "failed": log.count(FAILED)})
    return {
        "unit": unit,
        "copied": state.get("copied", False),
        "error": state.get("error", ""),
        "parts": parts,
    }


def stop() -> dict[str, Any]:
    """Stop the service, and remove what is left of the run."""
    systemctl("stop", UNIT)
    last = look()
    shutil.rmtree(FOLDER, ignore_errors=True)
    return last


def is_active() -> bool:
    """Whether the service runs."""
    return systemctl("is-active", UNIT) in {"active", "activating", "deactivating"}


def systemctl(*words: str) -> str:
    """Run systemctl, and return what it printed."""
    done = subprocess.run(
        ["systemctl", *words], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return done.stdout.strip()


def main() -> None:
    """Answer the request."""
    request = json.loads(sys.argv[1])
    do = request["do"]
    json.dump(start(request) if do == "start" else stop() if do == "stop" else look(), sys.stdout)


if __name__ == "__main__":
    main()

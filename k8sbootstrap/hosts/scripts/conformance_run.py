"""Runs on a master, never on the controller, as a service of its own: upstream's end-to-end tests.

``conformance.py`` starts it there, with the folder of the run as its one argument. It reads ``request.json``
there, and keeps ``state.json`` and one log for each part. The programs are only in memory, in a file system
that no other process sees. Standard library only, Python 3.9 and later.

Request: ``{"files": {"e2e.test": {"path", "sha256"}, "ginkgo": {...}}, "arguments": [for e2e.test],
"focus": REGEXP, "parts": [{"name", "filter", "processes"}, ...], "seconds", "patience"}``. State:
``{"copied", "ended", "error", "parts": [{"name", "processes", "total", "results"}, ...]}``.

The service ends where nobody asks how far it is, so that a controller that was lost leaves nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

PRIVATE = Path("/mnt")
"""The service has an empty file system there."""
KUBECTL = ["/usr/local/bin/kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--request-timeout=30s"]
MADE_BY_TESTS = "e2e-framework"
"""Label of namespaces that tests make."""
LONGEST = 2000
"""Characters of a message."""
LONGEST_LOG = 20_000
LOGS = 30
"""Failed tests whose log is kept."""
MEMORY = 300 << 20
"""Bytes that one process takes."""
SECONDS_TO_END = 60.0
"""For tests that are under way, to remove what they made."""
LINES = 15
_PANIC = re.compile(r"^panic: (.*)", re.MULTILINE)
_RAN = re.compile(r"Ran (\d+) of \d+ Specs")
_PULL = re.compile(r'(?:Failed to pull|Back-off pulling) image \\*"?([\w./:@-]+)')


class StopError(Exception):
    """The run ends before its end; the text says why."""


class Run:
    """One run.

    Args:
        folder: Has the request; state and logs go there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.request: dict[str, Any] = json.loads((folder / "request.json").read_bytes())
        self.state: dict[str, Any] = {"copied": False, "ended": False, "error": "", "parts": []}
        self.deadline = time.monotonic() + self.request["seconds"]
        self.asked_to_stop = False

    def save(self) -> None:
        """Write the state: whole or not at all."""
        partial = self.folder / "state.part"
        partial.write_text(json.dumps(self.state))
        partial.replace(self.folder / "state.json")

    def copy(self) -> None:
        """Take the programs from the folder that they were sent to, as soon as they are there."""
        for name, file in self.request["files"].items():
            source, target = Path(file["path"]), PRIVATE / name
            until = time.monotonic() + self.request["patience"]
            while not source.exists():
                if time.monotonic() > until:
                    raise StopError(f"{name} did not arrive")
                time.sleep(0.2)
            content = source.read_bytes()
            if hashlib.sha256(content).hexdigest() != file["sha256"]:
                raise StopError(f"{name} is not the file that was sent")
            target.write_bytes(content)
            target.chmod(0o700)
        self.state["copied"] = True
        self.save()

    def plan(self) -> None:
        """Count the tests of each part."""
        for part in self.request["parts"]:
            words = [str(PRIVATE / "e2e.test"), "--ginkgo.dry-run", "--ginkgo.no-color"]
            words += [f"--ginkgo.{word}" for word in self.selection(part)]
            done = subprocess.run(
                words,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment(),
                cwd=PRIVATE,
            )
            said = done.stdout.decode(errors="replace")
            ran = _RAN.search(said)
            if ran is None:
                panic = _PANIC.search(said)
                raise StopError("e2e.test failed: " + (panic.group(1) if panic else end_of(said)))
            processes = max(1, min(part["processes"], available_memory() // MEMORY))
            entry = {"name": part["name"], "processes": processes, "total": int(ran.group(1)), "results": []}
            self.state["parts"].append(entry)
        self.save()

    def selection(self, part: dict[str, Any]) -> list[str]:
        """The flags that choose tests."""
        words = [f"label-filter={part['filter']}"]
        return words + ([f"focus={self.request['focus']}"] if self.request["focus"] else [])

    def run(self, part: dict[str, Any], entry: dict[str, Any]) -> None:
        """Run the tests of one part."""
        reports = PRIVATE / part["name"]
        reports.mkdir()
        words = [str(PRIVATE / "ginkgo"), f"--procs={entry['processes']}", "--no-color", "--timeout=24h"]
        words += [f"--{word}" for word in self.selection(part)]
        words += [str(PRIVATE / "e2e.test"), "--", *self.request["arguments"], f"--report-dir={reports}"]
        log = self.folder / f"{part['name']}.log"
        with log.open("wb") as printed:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=environment(),
                cwd=PRIVATE,
                start_new_session=True,
            )
            why = self.wait(process)
        found = [path for path in reports.glob("*.xml") if path.is_file()]
        entry["results"] = results(found[0].read_bytes()) if found else []
        self.save()
        if why:
            raise StopError(why)
        if not entry["results"]:
            raise StopError("the tests did not run:\n" + end_of(log.read_text(errors="replace")))

    def wait(self, process: subprocess.Popen[bytes]) -> str:
        """Wait until the tests end, or end them; why they were ended, else empty."""
        why = ""
        while process.poll() is None and not why:
            time.sleep(0.5)
            why = self.why_end()
        if not why:
            return ""
        process.send_signal(signal.SIGINT)  # tests under way remove what they made
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return why

    def why_end(self) -> str:
        """Why the run must end now; empty where it need not."""
        if self.asked_to_stop:
            return "it was stopped"
        if time.monotonic() > self.deadline:
            return f"it did not end within {self.request['seconds']:g} s"
        if time.time() - (self.folder / "asked").stat().st_mtime > self.request["patience"]:
            return f"nobody asked for {self.request['patience']:g} s how far it is"
        return ""

    def on_signal(self, *_: object) -> None:
        """Remember that the service is being stopped."""
        self.asked_to_stop = True


def results(document: bytes) -> list[dict[str, Any]]:
    """What a report of e2e.test says of each test that it chose."""
    found = []
    for case in ET.fromstring(document).iter("testcase"):  # noqa: S314 - of our own program on this host
        status, name = case.get("status", ""), case.get("name", "")
        skipped = case.find("skipped")
        reason = "" if skipped is None else skipped.get("message", "").removeprefix("skipped").strip(" -")
        setup = not name.startswith("[It] ")
        if (status in {"skipped", "pending"} and not reason) or (setup and status == "passed"):
            continue
        said, log = text_in(case, "failure") or text_in(case, "error"), text_in(case, "system-err")
        failed = status not in {"passed", "skipped", "pending"}
        found.append(
            {
                "name": name.removeprefix("[It] ")[:LONGEST],
                "status": "failed" if failed else "skipped" if reason else "passed",
                "seconds": float(case.get("time", "0")),
                "message": (said.strip() or status if failed else reason)[:LONGEST],
                "lacks": sorted(set(_PULL.findall(log + said))) if failed else [],
                "log": log[-LONGEST_LOG:] if failed else "",
            }
        )
    for result in [each for each in found if each["log"]][LOGS:]:
        result["log"] = ""
    return found


def text_in(case: ET.Element, tag: str) -> str:
    """The text of all elements of a name."""
    return "".join(text for element in case.findall(tag) for text in element.itertext())


def environment() -> dict[str, str]:
    """Of all programs: their caches are as private as they are."""
    return {
        "HOME": str(PRIVATE),
        "TMPDIR": str(PRIVATE),
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C",
    }


def available_memory() -> int:
    """Bytes of memory that programs can still take."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return MEMORY


def end_of(text: str) -> str:
    """The last lines of what a program printed."""
    return "\n".join(text.strip().splitlines()[-LINES:])[-LONGEST:]


def namespaces() -> set[str]:
    """Names of namespaces that tests made.

    Raises:
        StopError: The API does not answer.
    """
    words = [*KUBECTL, "get", "namespaces", "-l", MADE_BY_TESTS, "-o", "name"]
    done = subprocess.run(
        words, check=False, stdin=subprocess.DEVNULL, capture_output=True, env=environment()
    )
    if done.returncode:
        raise StopError("kubectl failed: " + end_of(done.stderr.decode(errors="replace")))
    return set(done.stdout.decode().split())


def remove_new(before: set[str]) -> None:
    """Remove namespaces of tests that were ended; those that come to their end do it themselves.

    Args:
        before: Those that were there before the run.
    """
    with suppress(StopError, OSError):
        left = sorted(namespaces() - before)
        if left:
            words = [*KUBECTL, "delete", "--wait=false", *left]
            subprocess.run(words, check=False, capture_output=True, env=environment())


def main() -> None:
    """Run all parts."""
    run = Run(Path(sys.argv[1]))
    signal.signal(signal.SIGTERM, run.on_signal)
    before = None
    try:
        run.copy()
        before = namespaces()
        run.plan()
        for number, part in enumerate(run.request["parts"]):
            if run.state["parts"][number]["total"]:
                run.run(part, run.state["parts"][number])
    except (StopError, OSError, ValueError, ET.ParseError) as error:
        run.state["error"] = str(error)
    if run.state["error"] and before is not None:
        remove_new(before)
    run.state["ended"] = True
    run.save()


if __name__ == "__main__":
    main()

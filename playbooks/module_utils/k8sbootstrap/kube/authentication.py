"""The API server's authentication configuration: given to a running one, which reads it again by itself.

An API server that finds a mistake in a changed file goes on with what it had, but does not start with that
file any more. So the file is changed on one master after another, each API server is asked what it goes by,
and a file that it refused does not stay.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import time
from contextlib import suppress
from typing import NamedTuple

from ansible.module_utils.k8sbootstrap.host.files import BEFORE, FileSet
from ansible.module_utils.k8sbootstrap.host.patience import within
from ansible.module_utils.k8sbootstrap.host.record import write_atomically
from ansible.module_utils.k8sbootstrap.host.request import File, Reread
from ansible.module_utils.k8sbootstrap.host.units import UnitError, unit_states
from ansible.module_utils.k8sbootstrap.kube.kubectl import KubectlError, kubectl
from ansible.module_utils.k8sbootstrap.kube.objects import SUPER_ADMIN

EMPTY = b"""\
# Managed by k8sbootstrap
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
"""
"""What any API server starts with: no issuer at all."""
_SECONDS = 150.0
"""The API server looks at the file at least once a minute, and waits a minute for issuers to answer."""
_SECONDS_FOR_ISSUERS = 59.0
"""It does not give up issuers earlier."""
_UNREACHED = "failed to update authentication config"
_LINES = 12
_METRIC = r"^apiserver_authentication_config_controller_"
_HASH = re.compile(_METRIC + r'last_config_info\{[^}]*\bhash="sha256:([0-9a-f]{64})"', re.MULTILINE)
_FAILURES = re.compile(_METRIC + r'automatic_reloads_total\{[^}]*status="failure"[^}]*\} (\S+)', re.MULTILINE)


class State(NamedTuple):
    """What an API server says of its configuration."""

    sha256: str
    """Of the file that it goes by; empty where it goes by none."""
    failures: float
    """How often it did not take a changed one."""


def hold(files: list[File]) -> bool:
    """Have files stay for now that a running program reads again by itself.

    Args:
        files: Of a component; the content of those that have to wait becomes what is there, or ``EMPTY``
            where the program does not go by that: it might not start with it.

    Returns:
        Whether one has to wait.
    """
    waits = False
    for wanted in files:
        again = wanted.get("reread")
        if not again:
            continue
        was_taken = _put_back(wanted["dest"])
        there = _read(wanted["dest"]) or b""
        if there == base64.b64decode(wanted["content"]) or not _is_active(again["unit"]):
            continue
        with suppress(KubectlError):
            was_taken = was_taken or _state(again["server"]).sha256 == hashlib.sha256(there).hexdigest()
        wanted["content"] = base64.b64encode(there if was_taken else EMPTY).decode()
        waits = True
    return waits


def give(wanted: File, files: FileSet) -> None:
    """Change a file, and see that its program has taken it; else put back what was there.

    Args:
        wanted: The file.
        files: Writes it.

    Raises:
        UnitError: The program refused it, or a master that comes first has not taken it.
    """
    again, dest = wanted["reread"], wanted["dest"]
    content, old = base64.b64decode(wanted["content"]), _read(wanted["dest"]) or EMPTY
    if not again or old == content:
        return
    digest = hashlib.sha256(content).hexdigest()
    _require_first(again, dest, digest)
    failures = _state(again["server"]).failures
    since = int(time.time())
    write_atomically(dest + BEFORE, old, 0o600, os.getuid(), os.getgid())
    files.write(wanted)
    problem = _until_taken(again, digest, failures, since)
    if problem:
        files.write({**wanted, "content": base64.b64encode(old).decode()})
        os.unlink(dest + BEFORE)
        raise UnitError(
            f"the API server did not take {dest}: {problem}\n"
            "It goes on with its old configuration, and its old file is back. Correct the file that "
            "api.authentication names, then run the same command again."
        )
    os.unlink(dest + BEFORE)


def _require_first(again: Reread, dest: str, digest: str) -> None:
    """See that masters that come first have taken a file: one that is refused is tried once."""
    for server in again["after"]:
        try:
            taken = _state(server).sha256 == digest
        except KubectlError:
            continue  # it does not answer, and reads the file when it starts
        if not taken:
            raise UnitError(
                f"{dest} was not changed here, because the API server {server} has not taken it. Look there "
                "first, then run the same command again."
            )


def _until_taken(again: Reread, digest: str, failures: float, since: int) -> str:
    """Wait until an API server goes by a file; why it does not, empty where it does."""
    goes_on, may_be_of_another = within(_SECONDS), within(_SECONDS_FOR_ISSUERS)
    while goes_on():
        with suppress(KubectlError):
            state = _state(again["server"])
            if state.sha256 == digest:
                return ""
            if state.failures > failures:
                said = _journal(again["unit"], since)
                if not (_UNREACHED in said and may_be_of_another()):
                    return said or "its journal says why"
                failures = state.failures  # of a file before this one, whose issuers it still waited for
        time.sleep(0.5)
    return _journal(again["unit"], since) or f"it has not read it after {_SECONDS:.0f} s"


def _state(server: str) -> State:
    """What an API server says.

    Raises:
        KubectlError: It does not answer.
    """
    said = kubectl(
        "get", "--raw", "/metrics", "--server=" + server, "--request-timeout=10s", kubeconfig=SUPER_ADMIN
    )
    found, failures = _HASH.search(said), _FAILURES.search(said)
    return State(found[1] if found else "", float(failures[1]) if failures else 0.0)


def _journal(unit: str, since: int) -> str:
    """What a program wrote last about its configuration; a mistake in an expression takes several lines."""
    command = ["journalctl", "--no-pager", "-o", "cat", "-u", unit, "--since", f"@{since}"]
    for _ in range(4):  # the journal may be a little behind
        out = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace").stdout
        lines = out.splitlines()
        begins = [at for at, line in enumerate(lines) if "authentication config" in line and line[:1] == "E"]
        if begins:
            said = [lines[begins[-1]].partition("] ")[2], *lines[begins[-1] + 1 : begins[-1] + _LINES]]
            if not said[0].endswith("<"):
                return said[0]
            return "\n".join(said[: said.index(" >") + 1] if " >" in said else said)
        time.sleep(0.5)
    return ""


def _put_back(path: str) -> bool:
    """Put back what a file held, where a run was killed before the new content was taken; whether it was."""
    with suppress(FileNotFoundError):
        os.replace(path + BEFORE, path)
        return True
    return False


def _is_active(unit: str) -> bool:
    return unit_states([unit]).get(unit, {}).get("ActiveState") == "active"


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except FileNotFoundError:
        return None

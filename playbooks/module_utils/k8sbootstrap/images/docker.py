"""The docker engine over its socket: the docker command is a package of its own on some distributions."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import urllib.parse
from typing import IO, Any

_SOCKET = "/run/docker.sock"
_VERSION = "v1.40"
"""Docker 19.03 and later speak it, up to 28."""


class DockerError(Exception):
    """The engine refused; the text is its own."""


class _Connection(http.client.HTTPConnection):
    def __init__(self) -> None:
        super().__init__("docker", timeout=300)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(_SOCKET)


def has_image(ref: str) -> bool:
    """Whether the engine has an image of that reference."""
    return _call("GET", f"/images/{urllib.parse.quote(ref)}/json")[0] == http.client.OK


def load_image(tar: str) -> None:
    """Load the images in a docker-archive tar file.

    Raises:
        DockerError: the engine refused it.
    """
    with open(tar, "rb") as body:
        headers = {
            "Content-Type": "application/x-tar",
            "Content-Length": str(os.fstat(body.fileno()).st_size),
        }
        status, text = _call("POST", "/images/load?quiet=1", body, headers)
    if status != http.client.OK or '"error"' in text:
        raise DockerError(text.strip())


def remove_pods() -> None:
    """Remove all containers that a kubelet started, running or not; others stay."""
    filters = urllib.parse.quote(json.dumps({"label": ["io.kubernetes.pod.uid"]}))
    status, text = _call("GET", f"/containers/json?all=1&filters={filters}")
    for container in json.loads(text) if status == http.client.OK else []:
        _call("DELETE", f"/containers/{container['Id']}?force=1&v=1")


def look() -> tuple[list[str], dict[str, Any], list[dict[str, Any]]]:
    """How docker runs here: its command lines, what it says of itself, and its running containers.

    docker is not started for it: where it does not run, the latter two are empty.
    """
    unit = "docker.service"
    command = ["systemctl", "show", "-p", "ActiveState", "-p", "MainPID", "-p", "ExecStart", unit]
    out = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    state = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    lines = [state.get("ExecStart", "")]
    for path in (
        "/etc/default/docker",
        "/etc/sysconfig/docker",
        f"/proc/{state.get('MainPID', '0')}/cmdline",
    ):
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as handle:
            lines += [line for line in handle.read().replace("\0", " ").splitlines() if line[:1] != "#"]
    if state.get("ActiveState") != "active":
        return lines, {}, []
    try:
        containers = json.loads(_call("GET", "/containers/json")[1])
        return lines, json.loads(_call("GET", "/info")[1]), containers
    except (DockerError, ValueError):
        return lines, {}, []


def _call(
    method: str, path: str, body: IO[bytes] | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    connection = _Connection()
    try:
        connection.request(method, f"/{_VERSION}{path}", body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except OSError as error:
        raise DockerError(f"{_SOCKET}: {error}") from error
    finally:
        connection.close()

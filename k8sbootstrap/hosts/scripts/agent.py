"""Runs on a host, never on the controller: answers one request for HTTP probes, commands and certificates.

It is sent over SSH, started with a request (JSON) as its one argument, and prints one JSON document. Nothing
is written to the host. Standard library only, Python 3.9 and later: hosts may have nothing else.

Request: ``{"http": {NAME: {"url", "ca", "cert", "key", "within", "timeout"}}, "run": {NAME: {"argv",
"timeout", "most"}}, "certificates": [GLOB, ...]}``; every part is optional. Answer: ``{"http": {NAME:
{"status", "body", "error", "connected", "seconds"}}, "run": {NAME: {"rc", "stdout", "stderr", "seconds"}},
"certificates": {PATH: PEM}, "clock": [BEGUN, ENDED]}``.
"""

from __future__ import annotations

import base64
import concurrent.futures
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any

HTTP_TIMEOUT = 10.0
"""Seconds for one HTTP request that is made once, and names no other limit."""
TRY_TIMEOUT = 3.0
"""Seconds for one of several tries.

A connection to a Service that was opened before kube-proxy had its rules is never answered: the kernel chose
where its packets go when it saw the first one. A new connection is answered.
"""
POLL = 0.5
"""Seconds between tries of a request that has time left."""
WORKERS = 12
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_EMBEDDED = re.compile(r"client-certificate-data:\s*(\S+)")


def tls(want: dict[str, Any]) -> ssl.SSLContext:
    """The TLS settings of one request: verified by its CA file, or unverified where it names none."""
    for path in filter(None, (want.get("ca"), want.get("cert"), want.get("key"))):
        Path(path).stat()  # ssl's own error would not name the file
    context = ssl.create_default_context(cafile=want.get("ca"))
    if not want.get("ca"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if want.get("cert"):
        context.load_cert_chain(want["cert"], want.get("key"))
    return context


def get_once(want: dict[str, Any], answer: dict[str, Any]) -> None:
    """One GET, straight to the address whatever proxy the environment names.

    Args:
        want: The request.
        answer: Gets what is known, also where an exception ends it.
    """
    url = urllib.parse.urlsplit(want["url"])
    timeout = want.get("timeout") or (TRY_TIMEOUT if want.get("within") else HTTP_TIMEOUT)
    if url.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(url.netloc)
    else:
        connection = http.client.HTTPConnection(url.netloc)
    try:
        with socket.create_connection((connection.host, connection.port), timeout) as plain:
            answer["connected"] = True
            connection.sock = plain
            if url.scheme == "https":
                connection.sock = tls(want).wrap_socket(plain, server_hostname=connection.host)
            connection.request("GET", url.path or "/")
            response = connection.getresponse()
            answer["status"] = response.status
            answer["body"] = response.read(4096).decode("utf-8", "replace").strip()
    finally:
        connection.close()


def get(want: dict[str, Any]) -> dict[str, Any]:
    """GET until the answer is 200 or the time in ``within`` (seconds, default: one try) is over."""
    start = time.monotonic()
    while True:
        answer: dict[str, Any] = {"status": 0, "body": "", "error": "", "connected": False}
        try:
            get_once(want, answer)
        except (OSError, http.client.HTTPException) as error:
            answer["error"] = str(error) or type(error).__name__
        answer["seconds"] = round(time.monotonic() - start, 3)
        if answer["status"] == http.client.OK or answer["seconds"] + POLL > want.get("within", 0):
            return answer
        time.sleep(POLL)


def run(want: dict[str, Any]) -> dict[str, Any]:
    """Run one command; one that is absent or takes too long has rc 127 or 124, as in a shell."""
    start = time.monotonic()
    try:
        done = subprocess.run(
            want["argv"],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=want.get("timeout", 10),
        )
        printed = done.stdout[: want.get("most") or None]
        answer = {"rc": done.returncode, "stdout": printed, "stderr": done.stderr}
    except subprocess.TimeoutExpired as error:
        answer = {"rc": 124, "stdout": "", "stderr": f"no answer in {error.timeout} s"}
    except OSError as error:
        answer = {"rc": 127, "stdout": "", "stderr": str(error)}
    answer["seconds"] = round(time.monotonic() - start, 3)
    return answer


def certificates(patterns: list[str]) -> dict[str, str]:
    """The certificates (never the keys) in PEM files and kubeconfigs that match ``patterns``."""
    found = {}
    paths = {path for pattern in patterns for path in Path("/").glob(pattern.lstrip("/")) if path.is_file()}
    for path in sorted(paths):
        text = path.read_text(encoding="utf-8", errors="replace")
        pems = _PEM.findall(text)
        for data in _EMBEDDED.findall(text):
            pems += _PEM.findall(base64.b64decode(data).decode("ascii", "replace"))
        if pems:
            found[str(path)] = "\n".join(pems)
    return found


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do everything that ``request`` asks for, in parallel."""
    begun = time.time()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        gets = {name: pool.submit(get, want) for name, want in request.get("http", {}).items()}
        runs = {name: pool.submit(run, want) for name, want in request.get("run", {}).items()}
        return {
            "http": {name: future.result() for name, future in gets.items()},
            "run": {name: future.result() for name, future in runs.items()},
            "certificates": certificates(request.get("certificates", [])),
            "clock": [begun, time.time()],
        }


if __name__ == "__main__":
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    json.dump(answer(json.loads(sys.argv[1])), sys.stdout)

"""A bucket of a real S3 store on this machine: versitygw, which keeps objects as files."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry import certificates

from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.lab import go_toolchain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = "1.8.0"
PORT = 7070
ACCESS_KEY, SECRET_KEY = "lab-writer", "correct-horse-bucket-battery"


@dataclass
class Bucket:
    """A bucket and the store that it is in."""

    endpoint: str
    name: str
    folder: Path
    """Its objects."""
    ca: Path

    def objects(self) -> list[str]:
        """Names of its objects, in alphabetical order."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.folder)) for path in found)


@contextmanager
def serve(folder: Path, address: str) -> Iterator[Bucket]:
    """Run a store with an empty bucket on one address of this machine, and stop it.

    Args:
        folder: Empty; gets its certificates and objects.
        address: Of a lab's bridge: only that lab's hosts reach it.
    """
    certificates(folder, address)
    bucket = Bucket(f"https://{address}:{PORT}", "snapshots", folder / "store/snapshots", folder / "ca.crt")
    bucket.folder.mkdir(parents=True)
    command = [
        *(str(_program()), "--port", f"{address}:{PORT}"),
        *("--cert", str(folder / "server.crt"), "--key", str(folder / "server.key")),
        *("posix", str(folder / "store")),
    ]
    login = {"ROOT_ACCESS_KEY_ID": ACCESS_KEY, "ROOT_SECRET_ACCESS_KEY": SECRET_KEY}
    with (folder / "log").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | login)
    try:
        deadline = time.monotonic() + 20
        while not _answers(bucket.endpoint):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield bucket
    finally:
        process.kill()
        process.wait(30)


def _program() -> Path:
    """Build the store from its Go module, once: a few minutes."""
    folder = cache_dir() / "lab" / f"versitygw-{VERSION}"
    if not (folder / "versitygw").exists():
        module = f"github.com/versity/versitygw/cmd/versitygw@v{VERSION}"
        settings = {"GOBIN": str(folder), "GOFLAGS": "", "GOTOOLCHAIN": go_toolchain.TOOLCHAIN}
        command = [go_toolchain.ensure(), "install", module]
        subprocess.run(command, env=os.environ | settings | {"CGO_ENABLED": "0"}, check=True)
    return folder / "versitygw"


def _answers(endpoint: str) -> bool:
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(endpoint, timeout=5)
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        return "CERTIFICATE_VERIFY_FAILED" in str(error)  # this machine does not know its CA
    return True

"""Sends programs to new hosts while packages are being installed there, because the network is idle then.

Nothing depends on it. What has not arrived when a role needs it is sent by the role itself.
"""

import secrets
import shlex
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj

from k8sbootstrap.inventory.connection import ssh_command
from k8sbootstrap.inventory.model import Inventory
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.todo import Survey

_AT_ONCE = 20
"""Hosts that are sent files at the same time."""
_PATIENCE = 5.0
"""Seconds that a connection may take to end."""
_BLOCK = 1 << 20
# a name appears when its file is whole; the folder goes when the connection ends, whyever it does
_RECEIVE = """
umask 077
folder={folder}
mkdir "$folder" && cd "$folder" || exit
trap 'cd / && rm -rf "$folder"' EXIT
trap exit HUP INT PIPE TERM
while read -r name size; do
  head -c "$size" >"$name.part" && [ "$(wc -c <"$name.part")" -eq "$size" ] && mv "$name.part" "$name" || exit
done
"""


@dataclass(frozen=True)
class OutgoingFile:
    """A file to send."""

    path: Path
    sha256: str
    """Its name on the host."""


@contextmanager
def sent_ahead(plan: ClusterPlan, survey: Survey, inventory: Inventory) -> Iterator[str]:
    """Send hosts the programs of roles that are new there, in the background, while the block runs.

    Args:
        plan: The cluster.
        survey: What is to do.
        inventory: It names the files.

    Yields:
        The folder on hosts that they arrive in, each under its sha256. After the block it is gone.
    """
    folder = _folder()
    turns = threading.BoundedSemaphore(_AT_ONCE)
    uploads = []
    for host in plan.hosts:
        new = [role for role, why in survey.work.get(host.name, {}).items() if "new" in why.causes]
        files = [
            OutgoingFile(path, digest) for digest, path in inventory.files_to_send(host.name, new).items()
        ]
        if files:
            receive = f"sh -c {shlex.quote(_RECEIVE.format(folder=folder))}"
            uploads.append(Upload([*ssh_command(host), receive], files, turns))
    try:
        for upload in uploads:
            upload.start()
        yield folder
    finally:
        for upload in uploads:
            upload.ask_to_stop()
        for upload in uploads:
            upload.stop()


def _folder() -> str:
    """A new folder for hosts. Users there may see its name and make it first: then nothing in it counts."""
    return f"/var/tmp/k8sbootstrap-tmp-{secrets.token_hex(16)}"  # noqa: S108 - nobody can guess it


class Upload(threading.Thread):
    """Sends the files of one host, in a thread.

    Args:
        command: Connects to the host and starts what receives them.
        files: The files, in the order in which they will be needed.
        turns: Limits how many uploads work at the same time.
    """

    def __init__(
        self, command: Sequence[str], files: Sequence[OutgoingFile], turns: threading.BoundedSemaphore
    ) -> None:
        super().__init__(daemon=True)
        self._command = command
        self._files = files
        self._turns = turns
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Send the files. A failure is not reported here: the role sends the file then, and reports it."""
        with self._turns, suppress(OSError):
            if self._stopping.is_set():
                return
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            assert self._process.stdin  # noqa: S101 - it was asked for
            for item in self._files:
                if self._stopping.is_set():
                    return
                with item.path.open("rb") as file:
                    self._process.stdin.write(f"{item.sha256} {item.path.stat().st_size}\n".encode())
                    copyfileobj(file, self._process.stdin, _BLOCK)
                    self._process.stdin.flush()

    def ask_to_stop(self) -> None:
        """Stop: send no further file, and end a transfer that is under way."""
        self._stopping.set()
        if self.is_alive() and self._process:
            self._process.terminate()

    def stop(self) -> None:
        """End the connection; the host removes the folder then."""
        self.join(_PATIENCE)
        if self._process is None:
            return
        if self._process.stdin and not self.is_alive():
            with suppress(OSError):
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        self._process.kill()
        self._process.wait()

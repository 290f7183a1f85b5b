"""Sends files to hosts over SSH, into a folder that is gone when the connection ends."""

import os
import secrets
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj

from k8sbootstrap.formats.text import printable
from k8sbootstrap.inventory.connection import ssh_command
from k8sbootstrap.plan.models import HostPlan

PATIENCE = 5.0
"""Seconds that a connection may take to end."""
_BLOCK = 1 << 20
_LONGEST = 500
"""Bytes of what the connection says at its end."""
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


def new_folder() -> str:
    """A new folder for hosts. Users there may see its name and make it first: then nothing in it counts."""
    return f"/var/tmp/k8sbootstrap-tmp-{secrets.token_hex(16)}"  # noqa: S108 - nobody can guess it


def receiver(folder: str) -> str:
    """The shell command that receives files into a folder."""
    return f"sh -c {shlex.quote(_RECEIVE.format(folder=folder))}"


def upload_to(
    host: HostPlan, folder: str, files: Sequence[OutgoingFile], turns: threading.BoundedSemaphore
) -> "Upload":
    """Prepare to send files to a host.

    Args:
        host: The host.
        folder: Where they arrive.
        files: The files, in the order in which they will be needed.
        turns: Limits how many uploads work at the same time.
    """
    return Upload([*ssh_command(host), receiver(folder)], files, turns)


@dataclass(frozen=True)
class Arrival:
    """Files on their way to a host."""

    folder: str
    """The folder on the host that they arrive in, each under its sha256."""
    failure: Callable[[], str]
    """Why what is missing will not arrive any more; empty as long as it may."""


@contextmanager
def arriving(
    host: HostPlan, files: Sequence[OutgoingFile], turns: threading.BoundedSemaphore
) -> Iterator[Arrival]:
    """Send files to a host while the block runs.

    Args:
        host: The host.
        files: The files, in the order in which they will be needed.
        turns: Limits how many uploads work at the same time.

    Yields:
        The files on their way. After the block their folder is gone.
    """
    folder = new_folder()
    sending = upload_to(host, folder, files, turns)
    sending.start()
    try:
        yield Arrival(folder, sending.failure)
    finally:
        sending.ask_to_stop()
        sending.stop()


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
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this object

    def run(self) -> None:
        """Send the files. A failure is not raised here: what has not arrived is missed on the host."""
        with self._turns, suppress(OSError):
            if self._stopping.is_set():
                return
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
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

    def failure(self) -> str:
        """Why the connection has ended before ``stop``, in its own words; empty while it has not."""
        if self._process is None or self._stopping.is_set() or (code := self._process.poll()) is None:
            return ""
        end = os.fstat(self._said.fileno()).st_size
        said = os.pread(self._said.fileno(), _LONGEST, max(0, end - _LONGEST))
        words = printable(said.decode("utf-8", "replace")).strip()
        return words or f"the connection that sends files ended with exit code {code}"

    def ask_to_stop(self) -> None:
        """Stop: send no further file, and end a transfer that is under way."""
        self._stopping.set()
        if self.is_alive() and self._process:
            self._process.terminate()

    def stop(self) -> None:
        """End the connection; the host removes the folder then."""
        self.join(PATIENCE)
        if self._process is None:
            return
        if self._process.stdin and not self.is_alive():
            with suppress(OSError):
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        self._process.kill()
        self._process.wait()

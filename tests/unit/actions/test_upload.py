"""Programs that are sent ahead: by the real script, in a shell of this machine instead of on a host."""

import hashlib
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from k8sbootstrap.actions import upload
from k8sbootstrap.actions.upload import OutgoingFile, Upload


@pytest.fixture
def parcels(tmp_path: Path) -> list[OutgoingFile]:
    contents = [b"", b"\x00\n1 2\n" * 100_000, b"last"]
    made = []
    for number, content in enumerate(contents):
        path = tmp_path / f"program{number}"
        path.write_bytes(content)
        made.append(OutgoingFile(path, hashlib.sha256(content).hexdigest()))
    return made


def _receiver(folder: Path) -> list[str]:
    return ["sh", "-c", upload._RECEIVE.format(folder=folder)]


def _sender(folder: Path, parcels: list[OutgoingFile]) -> Upload:
    return Upload(_receiver(folder), parcels, threading.BoundedSemaphore(1))


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_files_arrive_whole_and_go_with_the_connection(tmp_path: Path, parcels: list[OutgoingFile]) -> None:
    folder = tmp_path / "there"
    sender = _sender(folder, parcels)
    sender.start()
    _until((folder / parcels[-1].sha256).exists)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        each.sha256: each.path.read_bytes() for each in parcels
    }
    assert folder.stat().st_mode & 0o777 == 0o700
    sender.ask_to_stop()
    sender.stop()
    assert not folder.exists()


def test_a_transfer_under_way_can_be_stopped(parcels: list[OutgoingFile]) -> None:
    """A host that takes nothing keeps nobody waiting."""
    sender = Upload(["sleep", "60"], parcels, threading.BoundedSemaphore(1))
    sender.start()
    _until(lambda: sender._process is not None)
    began = time.monotonic()
    sender.ask_to_stop()
    sender.stop()
    assert time.monotonic() - began < upload.PATIENCE


def test_a_file_that_is_cut_short_has_no_name(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    with subprocess.Popen(_receiver(folder), stdin=subprocess.PIPE) as receiver:
        assert receiver.stdin
        receiver.stdin.write(b"name 1000\nxxx")
        receiver.stdin.flush()
        _until((folder / "name.part").exists)
        assert not (folder / "name").exists()
        receiver.stdin.close()
        assert receiver.wait(10) != 0
    assert not folder.exists()


def test_a_host_that_is_lost_raises_nothing(parcels: list[OutgoingFile]) -> None:
    sender = Upload(["false"], parcels, threading.BoundedSemaphore(1))
    sender.start()
    sender.join(10)
    assert not sender.is_alive()
    _until(lambda: sender.failure() == "the connection that sends files ended with exit code 1")
    sender.stop()


def test_a_connection_that_ends_early_says_why(parcels: list[OutgoingFile]) -> None:
    """In its own words, of which a terminal obeys none."""
    sender = Upload(["sh", "-c", "printf 'disk \\033[1m full' >&2"], parcels, threading.BoundedSemaphore(1))
    sender.start()
    _until(lambda: sender.failure() == "disk \ufffd[1m full")
    sender.stop()


def test_a_connection_that_goes_on_or_is_ended_has_not_failed(
    tmp_path: Path, parcels: list[OutgoingFile]
) -> None:
    sender = _sender(tmp_path / "there", parcels)
    assert sender.failure() == ""
    sender.start()
    _until((tmp_path / "there" / parcels[-1].sha256).exists)
    assert sender.failure() == ""
    sender.ask_to_stop()
    sender.stop()
    assert sender.failure() == ""

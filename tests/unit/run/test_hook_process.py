"""One command: what it is given, what is heard of it, and that nothing of it stays when it is stopped."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.run import hook_process
from k8sbootstrap.run.hook_process import Ended, run_command

Script = Callable[[str], list[str]]
FAMILY = """
    {more}
    sleep 300 &                          # a child
    (sleep 300 & echo $! >> pids) &      # a child whose parent is gone
    echo $! $$ >> pids
    touch busy
    echo busy >&2
    while :; do sleep 0.1; done
"""


@pytest.fixture
def script(tmp_path: Path) -> Script:
    def write(text: str) -> list[str]:
        (tmp_path / "hook").write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        (tmp_path / "hook").chmod(0o755)
        return [str(tmp_path / "hook")]

    return write


def run(command: list[str], folder: Path, lines: list[str] | None = None, timeout: float = 20) -> Ended:
    heard: list[str] = [] if lines is None else lines
    return run_command(
        command,
        folder=folder,
        environment=os.environ | {"ADDED": "a b"},
        stdin='{"version": 1}',
        timeout=timeout,
        on_line=heard.append,
    )


def all_gone(folder: Path) -> bool:
    """Whether no process of FAMILY lives any more; one that was killed just now may still be ending."""
    pids = (folder / "pids").read_text().split()
    assert len(pids) == 3
    end = time.monotonic() + 2
    while any(map(_words, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(_words, pids))


def _words(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_what_it_is_given_and_what_it_says(script: Script, tmp_path: Path) -> None:
    lines: list[str] = []
    command = script('cat; echo; echo "$ADDED" "$1" >&2; pwd; printf "no end\\377"')
    assert run([*command, "x  y"], tmp_path, lines) == Ended(0)
    assert sorted(lines) == sorted(['{"version": 1}', "a b x  y", str(tmp_path), "no end\ufffd"])


def test_a_line_is_heard_while_the_command_runs(script: Script, tmp_path: Path) -> None:
    heard: dict[str, float] = {}
    run_command(
        script("echo first; sleep 0.5; echo second"),
        folder=tmp_path,
        environment=os.environ,
        stdin="",
        timeout=20,
        on_line=lambda line: heard.setdefault(line, time.monotonic()) and None,
    )
    assert heard["second"] - heard["first"] > 0.3


def test_how_it_failed_and_the_end_of_its_stderr(script: Script, tmp_path: Path) -> None:
    ended = run(script("echo out; for n in $(seq 40); do echo line $n >&2; done; exit 3"), tmp_path)
    assert (ended.rc, ended.failure) == (3, "ended with code 3")
    assert ended.stderr == tuple(f"line {number}" for number in range(26, 41))


def test_killed_by_a_signal(script: Script, tmp_path: Path) -> None:
    assert run(script("kill -9 $$"), tmp_path) == Ended(-9, "was killed by signal 9")


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        (None, 0, "No such file or directory"),
        ("#!/no/such/interpreter\n", 0o755, "the interpreter in its first line does not exist"),
        (
            "true\n",
            0o755,
            "Exec format error (the first line of a script names its interpreter, such as #!/bin/sh)",
        ),
        ("#!/bin/sh\n", 0o644, "Permission denied"),
    ],
)
def test_a_program_that_cannot_be_started(tmp_path: Path, text: str | None, mode: int, why: str) -> None:
    file = tmp_path / "hook"
    if text is not None:
        file.write_text(text)
        file.chmod(mode)
    assert run([str(file)], tmp_path) == Ended(None, f"could not be started: {why}")


def test_a_program_that_is_not_in_path(tmp_path: Path) -> None:
    assert run(["no-such-program"], tmp_path) == Ended(None, "could not be started: it is not in PATH")


def test_a_flood_without_an_end_of_line(script: Script, tmp_path: Path) -> None:
    lines: list[str] = []
    assert run(script("head -c 1000000 /dev/zero | tr '\\0' x"), tmp_path, lines) == Ended(0)
    assert sum(map(len, lines)) == 1_000_000
    assert len(lines) > 5  # not kept in memory until there is an end


def test_what_it_leaves_in_the_background_is_not_waited_for(script: Script, tmp_path: Path) -> None:
    started = time.monotonic()
    lines: list[str] = []
    assert run(script("sleep 300 & echo $!; exit 0"), tmp_path, lines) == Ended(0)
    assert time.monotonic() - started < 5
    os.kill(int(lines[0]), signal.SIGKILL)  # it lives


@pytest.mark.parametrize("more", ["", "trap '' TERM"], ids=["", "stubborn"])
def test_a_timeout_stops_it_with_all_that_it_started(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    monkeypatch.setattr(hook_process, "STOP_SECONDS", 0.5)
    started = time.monotonic()
    ended = run(script(FAMILY.format(more=more)), tmp_path, timeout=1)
    assert ended.failure == "was stopped because it took longer than 1 s"
    assert ended.rc == (-9 if more else -15)
    assert ended.stderr == ("busy",)
    assert time.monotonic() - started < 5
    assert all_gone(tmp_path)


def test_an_interrupt_while_it_is_being_started(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Popen(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            while not (tmp_path / "busy").exists():
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGINT)  # nobody has this object yet

    monkeypatch.setattr(subprocess, "Popen", Popen)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(script(FAMILY.format(more="")), tmp_path)
    assert all_gone(tmp_path)
    assert signal.getsignal(signal.SIGINT) == before


def test_an_interrupt_stops_it_with_all_that_it_started(script: Script, tmp_path: Path) -> None:
    def interrupt() -> None:
        while not (tmp_path / "busy").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    command = script(FAMILY.format(more=""))
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(command, tmp_path)
    thread.join()
    assert all_gone(tmp_path)

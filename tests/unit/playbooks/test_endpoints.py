"""A program that knows enough of the servers runs on with an older list of them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.host import endpoints

UNIT = "kube-apiserver.service"
FLAG = "etcd-servers"
Runs = Callable[[str], None]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Starts a program with these servers, which systemd then names as the unit's."""
    processes = []

    def start(servers: str) -> None:
        code = "import time; print(flush=True); time.sleep(60)"
        words = [sys.executable, "-c", code, "--a=1", f"--{FLAG}={servers}", "--z"]
        processes.append(subprocess.Popen(words, stdout=subprocess.PIPE))
        assert processes[-1].stdout
        processes[-1].stdout.readline()
        said = subprocess.CompletedProcess([], 0, f"{processes[-1].pid}\n", "")
        monkeypatch.setattr(endpoints.subprocess, "run", lambda *_, **__: said)

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def unit(servers: str, more: str = "") -> str:
    return f"ExecStart=/usr/local/bin/kube-apiserver \\\n  --etcd-servers={servers} \\\n  --z=1{more}\n"


@pytest.mark.parametrize(
    ("started_with", "wanted", "goes_on"),
    [
        ("a,b,c", "a,b,c,d,e", True),  # members joined
        ("a,b,c", "a,b", True),  # one left
        ("a,b,c", "a,b,d", True),  # and another took its place
        ("a,b,c", "a,d,e", False),  # without a it would find none, though d and e have a quorum
        ("a,b,c", "a", True),
        ("a", "a,b,c", False),
        ("a", "a,b", True),  # both are needed for a quorum
        ("a,b", "a,b,c,d", True),  # any three of these have one of them
        ("a,b", "a,b,c,d,e", False),
        ("a,b,c", "d,e,f", False),
    ],
)
def test_half_of_the_servers_are_enough(
    runs: Runs, tmp_path: Path, started_with: str, wanted: str, *, goes_on: bool
) -> None:
    runs(started_with)
    file = tmp_path / UNIT
    file.write_text(unit("other"))  # what it was started with counts, not what its file says since
    assert endpoints.runs_on(UNIT, FLAG, str(file), unit(wanted).encode()) is goes_on


def test_any_other_change_of_the_unit_needs_a_restart(runs: Runs, tmp_path: Path) -> None:
    runs("a,b,c")
    file = tmp_path / UNIT
    file.write_text(unit("a,b,c"))
    assert not endpoints.runs_on(UNIT, FLAG, str(file), unit("a,b,c,d,e", "0").encode())
    assert not endpoints.runs_on(UNIT, FLAG, str(tmp_path / "none"), unit("a,b,c").encode())
    assert not endpoints.runs_on(UNIT, FLAG, str(file), b"ExecStart=/bin/true\n")


@pytest.mark.parametrize("said", ["0\n", "", "999999999\n"])
def test_a_program_that_does_not_run_knows_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    answer: Any = subprocess.CompletedProcess([], 0, said, "")
    monkeypatch.setattr(endpoints.subprocess, "run", lambda *_, **__: answer)
    file = tmp_path / UNIT
    file.write_text(unit("a"))
    assert not endpoints.runs_on(UNIT, FLAG, str(file), unit("a,b").encode())

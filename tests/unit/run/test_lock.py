import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from k8sbootstrap.errors import LockedError
from k8sbootstrap.run import lock

HOLDER = """
    import subprocess, sys
    from pathlib import Path
    from k8sbootstrap.run import lock
    with lock.hold(Path(sys.argv[1]), "k8sbootstrap up"):
        child = subprocess.Popen(["sleep", "30"], stdout=subprocess.DEVNULL)
        print(child.pid, flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def start_holder(path: Path) -> tuple[subprocess.Popen[str], int]:
    """A process that holds the lock, and a child of it that lives on."""
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    return holder, int(holder.stdout.readline())


def test_second_taker_is_told_who_holds_it(path: Path) -> None:
    holder, child = start_holder(path)
    try:
        with (
            pytest.raises(
                LockedError, match=rf'"k8sbootstrap up" of \w+ on .* \(process {holder.pid}, since '
            ) as exc,
            lock.hold(path, "k8sbootstrap reset"),
        ):
            pytest.fail("took a lock that is held")
        assert exc.value.exit_code == 7
        assert exc.value.hint.endswith(f"kill {holder.pid}")
    finally:
        holder.communicate("")
        os.kill(child, signal.SIGKILL)
    with lock.hold(path, "k8sbootstrap reset"):
        assert json.loads(path.read_text())["command"] == "k8sbootstrap reset"


def test_killed_holder_frees_it_although_its_children_live(path: Path) -> None:
    holder, child = start_holder(path)
    holder.kill()
    holder.communicate()
    assert json.loads(path.read_text())["pid"] == holder.pid  # what it wrote is still there
    with lock.hold(path, "k8sbootstrap up"):
        assert json.loads(path.read_text())["pid"] == os.getpid()
        os.kill(child, signal.SIGKILL)


def test_unreadable_holder_is_still_a_holder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_READ_PAUSE", 0)
    with lock.hold(path, "k8sbootstrap up"):
        path.write_text("{")
        with (
            pytest.raises(LockedError, match="another k8sbootstrap command"),
            lock.hold(path, "k8sbootstrap up"),
        ):
            pytest.fail("took a lock that is held")


def test_an_error_inside_frees_it(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock.hold(path, "k8sbootstrap up"):
        raise ZeroDivisionError
    assert path.read_text() == ""
    with lock.hold(path, "k8sbootstrap up"):
        pass


def test_only_the_owner_can_read_it(path: Path) -> None:
    with lock.hold(path, "k8sbootstrap up"):
        assert path.stat().st_mode & 0o777 == 0o600

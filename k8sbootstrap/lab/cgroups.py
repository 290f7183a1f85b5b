"""A cgroup of its own for every lab host, where the machine has cgroup v1.

Two hosts started from the same cgroup would share one root, and their kubelets would fight over it. On a
machine with cgroup v2 alone systemd-nspawn sees to that itself.
"""

import contextlib
import os
import signal
import time
from fnmatch import fnmatch
from pathlib import Path

from k8sbootstrap.errors import LabError

_TOP = Path("/sys/fs/cgroup")
_SECONDS_TO_DIE = 10.0
_JOIN = 'while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift; exec "$@"'


def is_v2() -> bool:
    """Whether this machine has cgroup v2 alone."""
    return (_TOP / "cgroup.controllers").exists()


def enter(name: str) -> None:
    """Move this process into a new cgroup of that name in every v1 hierarchy; nothing on cgroup v2."""
    if is_v2():
        return
    for hierarchy in _hierarchies():
        group = _parent(hierarchy) / name
        group.mkdir(parents=True, exist_ok=True)
        if hierarchy.name == "cpuset":
            for file in ("cpuset.cpus", "cpuset.mems"):
                (group / file).write_text((hierarchy / file).read_text())
        (group / "cgroup.procs").write_text(str(os.getpid()))


def joining(pid: int) -> list[str]:
    """What to put before a program and its arguments, so that it runs in the cgroups of another process."""
    files = []
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        hierarchy = _TOP if is_v2() else _TOP / (controllers.removeprefix("name=") or "unified")
        if hierarchy.is_dir():
            files.append(str(hierarchy / path.lstrip("/") / "cgroup.procs"))
    return ["sh", "-ec", _JOIN, "sh", *files, "--"]


def remove(pattern: str) -> None:
    """Remove the cgroups of a host that is gone or is to be, with what is below them and what runs there.

    Args:
        pattern: Their name; ``*`` stands for anything.

    Raises:
        LabError: Processes in them do not end within 10 s.
    """
    if is_v2():
        return
    deadline = time.monotonic() + _SECONDS_TO_DIE
    for hierarchy in _hierarchies():
        for top in named(hierarchy, pattern):
            while (busy := _remove_tree(top)) is not None:
                if time.monotonic() > deadline:
                    raise LabError(
                        f"the control group {busy} can't be removed, because its processes do not end",
                        hint=f"List these processes: cat {busy}/cgroup.procs",
                    )
                time.sleep(0.05)


def named(hierarchy: Path, pattern: str) -> list[Path]:
    """Groups whose name matches, wherever in a hierarchy they were made."""
    return [
        Path(folder) / child
        for folder, children, _ in os.walk(hierarchy)
        for child in children
        if fnmatch(child, pattern)
    ]


def _hierarchies() -> list[Path]:
    return [path for path in sorted(_TOP.iterdir()) if path.is_dir() and not path.is_symlink()]


def _parent(hierarchy: Path) -> Path:
    """The hierarchy's top; for memory this process's own group, which a limit may be set on."""
    if hierarchy.name != "memory":
        return hierarchy
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            own = hierarchy / path.lstrip("/")
            return own if own.is_dir() else hierarchy
    return hierarchy


def _remove_tree(top: Path) -> Path | None:
    """Remove a group and all below it; the first that is busy, if any."""
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            _kill_all(Path(folder))
            return Path(folder)
    return None


def _kill_all(group: Path) -> None:
    """Kill what a crash left running in a group; children of a killed systemd outlive it for a moment."""
    with contextlib.suppress(FileNotFoundError):
        # 0 stands for a process that this process can't see; to kill, it would mean this one's own group
        for pid in {int(word) for word in (group / "cgroup.procs").read_text().split()} - {0}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

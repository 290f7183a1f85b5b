"""A cgroup of its own for every lab host, where the machine has cgroup v1.

Two hosts started from the same cgroup would share one root, and their kubelets would fight over it. On a
machine with cgroup v2 alone systemd-nspawn sees to that itself.
"""

import os
import time
from fnmatch import fnmatch
from pathlib import Path

_TOP = Path("/sys/fs/cgroup")


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


def remove(pattern: str) -> None:
    """Remove all cgroups whose name matches (``*`` stands for anything), with what hosts made below them."""
    if is_v2():
        return
    for hierarchy in _hierarchies():
        tops = [
            Path(folder) / name
            for folder, names, _ in os.walk(hierarchy)
            for name in names
            if fnmatch(name, pattern)
        ]
        for top in tops:
            for folder, _, _ in os.walk(top, topdown=False):
                _rmdir(Path(folder))


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


def _rmdir(folder: Path) -> None:
    for _ in range(50):  # a killed process takes a moment to leave
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return

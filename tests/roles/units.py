"""systemd unit files, as far as the tests read them."""

import shlex
import shutil
import subprocess
from pathlib import Path

TARGETS = ("basic", "local-fs", "multi-user", "network-online", "shutdown", "sysinit", "time-set", "timers")
"""What units pull in by default or by name."""
PACKAGED = ("containerd", "docker", "docker-registry", "haproxy", "keepalived")
"""Services whose units come with distribution packages."""
LAUNCHER = "/bin/sh /usr/local/lib/k8sbootstrap/start-etcd "
"""Takes the command of etcd as its arguments."""


def command(unit: str) -> list[str]:
    """The words of a unit's ExecStart, as systemd would pass them on."""
    joined = unit.replace("\\\n", " ")
    line = next(line for line in joined.splitlines() if line.startswith("ExecStart="))
    words = shlex.split(line.removeprefix("ExecStart=").removeprefix(LAUNCHER))
    return [word.replace("%%", "%").replace("$$", "$") for word in words]


def flags(words: list[str]) -> dict[str, str]:
    """Flag names to values.

    Raises:
        ValueError: A word is not ``--flag=value``, or a flag is there twice.
    """
    found: dict[str, str] = {}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not name.startswith("--") or not equals or name[2:] in found:
            raise ValueError(word)
        found[name[2:]] = value
    return found


def verify(files: dict[str, str], programs: list[str], root: Path) -> str:
    """What ``systemd-analyze verify`` says of unit files and drop-ins; empty when they are right.

    Args:
        files: Absolute path on the host to content.
        programs: Absolute paths of programs that the host has.
        root: Empty folder to lay all out in.
    """
    system = root / "usr/lib/systemd/system"
    system.mkdir(parents=True)
    for target in TARGETS:
        (system / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    for name in PACKAGED:
        (system / f"{name}.service").write_text("[Service]\nExecStart=/bin/true\n")
    for program in [*programs, "/bin/sh", "/bin/true", "/usr/bin/python3"]:
        path = root / program.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)
    for dest, content in files.items():
        path = root / dest.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    units = sorted({_unit(dest) for dest in files})
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze is not installed"
    done = subprocess.run(
        [analyze, f"--root={root}", "--man=no", "verify", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    return said if said or done.returncode == 0 else f"systemd-analyze ended with {done.returncode}"


def _unit(dest: str) -> str:
    """The unit that a file or drop-in belongs to."""
    path = Path(dest)
    return path.parent.name.removesuffix(".d") if path.suffix == ".conf" else path.name

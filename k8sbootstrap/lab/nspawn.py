"""Lab hosts as systemd-nspawn containers: booted with systemd, reached over SSH, killed like pulled plugs."""

import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import cgroups, host_files
from k8sbootstrap.lab.artifacts import Progress
from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.model import Lab, LabHost

_V1_FOR_NEW_SYSTEMD = "systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
"""systemd 256 and later boot on cgroup v1 only when told on the kernel's command line."""

_AGAIN = 'while "$@"; [ $? -eq 133 ]; do :; done'
"""With --keep-unit systemd-nspawn ends with 133 where a host reboots itself, and is to be started again."""

_RUN = Path("/run/systemd/nspawn")
"""Where systemd-nspawn keeps its locks and what it shares with containers."""
_SECONDS_TO_DIE = 10.0

BOOT_SECONDS = 60.0
"""Within which a host answers over SSH."""


def require(count: int) -> None:
    """See that this machine can start that many more hosts: containers need nothing."""


def create(lab: Lab, image: Path, public_key: str, _progress: Progress) -> list[str]:
    """Make the hosts' file systems from the image, where they are not there yet.

    Returns:
        The hosts' public SSH keys.
    """
    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(lambda host: _create(lab, host, image, public_key), lab.hosts))


def _create(lab: Lab, host: LabHost, image: Path, public_key: str) -> str:
    root = lab.root(host)
    if not root.exists():
        partial = lab.folder / f".{host.name}"
        shutil.rmtree(partial, ignore_errors=True)
        run("cp", "-a", "--reflink=auto", str(image), str(partial))
        host_files.lay(lab, host, partial, image=image, public_key=public_key, interface="host0")
        (partial / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
        partial.rename(root)
    return host_files.known_key(root)


def is_emulated(_lab: Lab) -> bool:
    """Whether the hosts' processors are emulated: never."""
    return False


def start(lab: Lab, hosts: Sequence[LabHost]) -> None:
    """Boot hosts that do not run; returns at once."""
    for host in hosts:
        cgroups.remove(lab.cgroup(host))  # what a crash left
        _start(lab, host)


def _start(lab: Lab, host: LabHost) -> None:
    command = [
        "systemd-nspawn",
        "--quiet",
        "--register=no",
        f"--directory={lab.root(host)}",
        f"--network-bridge={lab.bridge}",
        f"--machine={lab.machine(host)}",
        f"--hostname={host.name}",
        "--capability=all",
        "--system-call-filter=@known",
        "--boot",
    ]
    if Path("/lib/modules").is_dir():
        command.insert(-1, "--bind=/lib/modules")
    if not (cgroups.is_v2() and Path("/run/systemd/system").is_dir()):
        command.insert(-1, "--keep-unit")  # else systemd makes a scope, and so a cgroup, for each host
    if not cgroups.is_v2() and lab.os != "debian12":
        command.insert(-1, f"--setenv=SYSTEMD_PROC_CMDLINE={_V1_FOR_NEW_SYSTEMD}")
    if not cgroups.is_v2():
        command = ["sh", "-c", _AGAIN, "systemd-nspawn-again", *command]
    name = lab.cgroup(host)
    with (lab.folder / f"{host.name}.console").open("ab") as console:
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
            preexec_fn=lambda: cgroups.enter(name),  # noqa: PLW1509 - no other threads hold locks it needs
        )


def is_running(lab: Lab, host: LabHost) -> bool:
    """Whether a host runs."""
    return leader(lab, host) is not None


def port(lab: Lab, host: LabHost) -> str | None:
    """The network interface of this machine that a host is connected with."""
    name = f"vb-{lab.machine(host)}"
    return name if Path(f"/sys/class/net/{name}").exists() else None


def leader(lab: Lab, host: LabHost) -> int | None:
    """Process ID of the host's systemd as this machine sees it; None when the host is not running."""
    return _leader(lab.root(host))


def _leader(root: Path) -> int | None:
    """The first process of the container in a folder, found even where its systemd-nspawn is gone."""
    try:
        wanted = root.stat()
    except FileNotFoundError:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.path.samestat((process / "root").stat(), wanted) and _is_init(process):
                return int(process.name)
        except OSError:  # it ended meanwhile
            continue
    return None


def _is_init(process: Path) -> bool:
    lines = (process / "status").read_text().splitlines()
    ids = next(line.split()[1:] for line in lines if line.startswith("NSpid:"))
    return len(ids) > 1 and ids[-1] == "1"


def kill(lab: Lab, host: LabHost) -> None:
    """Stop a host at once, as if its plug was pulled."""
    _end(lab, host, signal.SIGKILL, 30)


def shut_down(lab: Lab, host: LabHost) -> None:
    """Let the host's systemd stop everything in order.

    Raises:
        LabError: it does not within 90 s.
    """
    _end(lab, host, signal.SIGRTMIN + 4, 90)


def _end(lab: Lab, host: LabHost, number: int, seconds: float) -> None:
    pid = leader(lab, host)
    if pid is None:
        return
    os.kill(pid, number)
    deadline = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists() or Path(f"/sys/class/net/vb-{lab.machine(host)}").exists():
        if time.monotonic() > deadline:
            raise LabError(
                f"{host.name} did not stop within {seconds:.0f} s", hint="Stop it without --graceful."
            )
        _reap()
        time.sleep(0.05)
    _reap()


def _reap() -> None:
    """Collect children that ended, so that they do not stay zombies while this process lives."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def run_inside(lab: Lab, host: LabHost, command: list[str]) -> int:
    """Run a command as root inside a host, whatever its network is like, on this process's own terminal.

    Returns:
        The command's exit code; 128 and the signal's number when a signal ended it.

    Raises:
        LabError: the host is not running.
    """
    code = subprocess.run(entering(lab, host, command), check=False).returncode
    return code if code >= 0 else 128 - code


def entering(lab: Lab, host: LabHost, command: list[str]) -> list[str]:
    """The program, with its arguments, that runs a command as root inside a host, in the host's cgroups.

    Raises:
        LabError: the host is not running.
    """
    pid = leader(lab, host)
    if pid is None:
        raise LabError(f"{host.name} is not running", hint=f"Start it: k8sbootstrap lab start {host.name}")
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    clean = [
        "env",
        "-i",
        f"PATH={path}",
        "HOME=/root",
        "LANG=C.UTF-8",
        f"TERM={os.environ.get('TERM', 'dumb')}",
    ]
    namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
    return [*cgroups.joining(pid), "nsenter", f"--target={pid}", *namespaces, "--", *clean, *command]


def is_booted(lab: Lab, host: LabHost) -> bool:
    """Whether users may log in: pam_nologin refuses them for the first moment."""
    pid = leader(lab, host)
    return pid is not None and not Path(f"/proc/{pid}/root/run/nologin").exists()


def remove_remains(lab: Lab) -> None:
    """Kill and remove all that carries this lab's number, also what a crash left and no file names.

    Raises:
        LabError: Processes do not end, or something can't be removed.
    """
    roots = [path for path in lab.folder.iterdir() if path.is_dir()] if lab.folder.exists() else []
    deadline = time.monotonic() + _SECONDS_TO_DIE
    while left := {*filter(None, map(_leader, roots)), *_supervisors(lab)}:
        # their systemd first: systemd-nspawn then ends by itself and tidies up
        give_up = time.monotonic() > deadline
        for pid in left - _supervisors(lab) or (left if give_up else set()):
            _kill_quietly(pid)
        if time.monotonic() > deadline + _SECONDS_TO_DIE:
            raise LabError(f"processes of the lab do not end: {', '.join(map(str, sorted(left)))}")
        _reap()
        time.sleep(0.05)
    for link in Path("/sys/class/net").glob(f"vb-l{lab.number}-*"):
        if not _gone(link):
            run("ip", "link", "delete", link.name)
    cgroups.remove(f"k8slab{lab.number}-*")
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    for point in sorted((line.split()[1] for line in mounts), reverse=True):
        if point.startswith(f"{lab.folder}/") or Path(point).match(f"{_RUN}/*/l{lab.number}-*"):
            run("umount", "--lazy", point)
    for root in roots:
        seen = root.stat()
        (_RUN / "locks" / f"inode-{seen.st_dev}:{seen.st_ino}").unlink(missing_ok=True)
    for path in _RUN.glob(f"*/l{lab.number}-*"):
        run("rm", "-rf", "--one-file-system", str(path))


def _supervisors(lab: Lab) -> set[int]:
    """Process IDs of the lab's systemd-nspawn programs, and of the shells that start these again."""
    needle = f"--machine=l{lab.number}-".encode()
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        if b"systemd-nspawn" in words and any(word.startswith(needle) for word in words):
            found.add(int(process.name))
    return found


def _gone(link: Path) -> bool:
    """Whether an interface goes within two seconds: the kernel takes a moment after its host's end."""
    deadline = time.monotonic() + 2
    while link.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not link.exists()


def _kill_quietly(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)

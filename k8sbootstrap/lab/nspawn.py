"""Lab hosts as systemd-nspawn containers: booted with systemd, reached over SSH, killed like pulled plugs."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import cgroups
from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.model import Lab, LabHost
from k8sbootstrap.lab.root_image import PASSWORD_USER, USER

_V1_FOR_NEW_SYSTEMD = "systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
"""systemd 256 and later boot on cgroup v1 only when told on the kernel's command line."""

_NETWORK = """\
#!/bin/sh
# Of the lab: this host's address.
ip address replace {address}/24 dev host0
ip link set host0 up
ip route replace default via {gateway}
"""


def create(lab: Lab, host: LabHost, image: Path, public_key: str) -> str:
    """Make a host's file system from the image, unless it is there.

    Returns:
        The host's public SSH key.
    """
    root = lab.root(host)
    key = root / "etc/ssh/ssh_host_ed25519_key"
    if not root.exists():
        partial = lab.folder / f".{host.name}"
        shutil.rmtree(partial, ignore_errors=True)
        run("cp", "-a", "--reflink=auto", str(image), str(partial))
        _personalize(lab, host, partial, public_key)
        partial.rename(root)
    return " ".join(key.with_suffix(".pub").read_text().split()[:2])


def _personalize(lab: Lab, host: LabHost, root: Path, public_key: str) -> None:
    (root / "etc/hostname").write_text(f"{host.name}\n")
    others = "".join(f"{lab.address(other)} {other.name}\n" for other in lab.hosts)
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n{others}")
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
    script = root / "usr/local/sbin/lab-network"
    script.write_text(_NETWORK.format(address=lab.address(host), gateway=lab.gateway))
    script.chmod(0o755)
    comment = f"root@{host.name}"
    run(
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-C",
        comment,
        "-f",
        str(root / "etc/ssh/ssh_host_ed25519_key"),
    )
    for user in (USER, PASSWORD_USER):
        home = root / "home" / user
        (home / ".ssh").mkdir(mode=0o700)
        (home / ".ssh/authorized_keys").write_text(public_key)
        owner = home.stat()
        for path in (home / ".ssh", home / ".ssh/authorized_keys"):
            os.chown(path, owner.st_uid, owner.st_gid)


def start(lab: Lab, host: LabHost) -> None:
    """Boot a host that is not running; returns at once."""
    if leader(lab, host) is not None:
        return
    command = [
        "systemd-nspawn",
        "--quiet",
        "--register=no",
        "--keep-unit",
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
    if not cgroups.is_v2() and lab.os != "debian12":
        command.insert(-1, f"--setenv=SYSTEMD_PROC_CMDLINE={_V1_FOR_NEW_SYSTEMD}")
    name = lab.cgroup(host)
    with (lab.folder / f"{host.name}.console").open("ab") as console:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
            preexec_fn=lambda: cgroups.enter(name),  # noqa: PLW1509 - no other threads hold locks it needs
        )
    _pid_file(lab, host).write_text(str(process.pid))


def leader(lab: Lab, host: LabHost) -> int | None:
    """Process ID of the host's systemd as this machine sees it; None when the host is not running."""
    try:
        pid = int(_pid_file(lab, host).read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    if (
        f"--machine={lab.machine(host)}".encode() not in command.split(b"\0")
        or stat.rsplit(")")[-1].split()[0] == "Z"
    ):
        return None
    return int(children[0]) if children else None


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
                f"{host.name} does not stop within {seconds:.0f} s", hint="stop it without --graceful"
            )
        _reap()
        time.sleep(0.05)
    _reap()


def _reap() -> None:
    """Collect children that ended, so that they do not stay zombies while this process lives."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def enter_command(lab: Lab, host: LabHost, command: list[str]) -> list[str]:
    """The command that runs ``command`` as root inside a host, whatever its network is like.

    Raises:
        LabError: the host is not running.
    """
    pid = leader(lab, host)
    if pid is None:
        raise LabError(
            f"{host.name} is not running", hint=f"start it with: k8sbootstrap lab start {host.name}"
        )
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
    return ["nsenter", f"--target={pid}", *namespaces, "--", *clean, *command]


def remove_remains(lab: Lab) -> None:
    """Kill and remove everything that carries this lab's number, also what a crash left and no file names."""
    needle = f"--machine=l{lab.number}-".encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"systemd-nspawn") and any(word.startswith(needle) for word in words):
            pid = int(path.parent.name)
            for child in (path.parent / "task" / str(pid) / "children").read_text().split():
                _kill_quietly(int(child))
            _kill_quietly(pid)
    deadline = time.monotonic() + 20
    while any(Path("/sys/class/net").glob(f"vb-l{lab.number}-*")) and time.monotonic() < deadline:
        _reap()
        time.sleep(0.1)
    for link in Path("/sys/class/net").glob(f"vb-l{lab.number}-*"):
        run("ip", "link", "delete", link.name)
    cgroups.remove(f"k8slab{lab.number}-*")
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    for point in sorted((line.split()[1] for line in mounts), reverse=True):
        if point.startswith(f"{lab.folder}/"):
            run("umount", "--lazy", point)
    run("rm", "-rf", "--one-file-system", str(lab.folder))


def _kill_quietly(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _pid_file(lab: Lab, host: LabHost) -> Path:
    return lab.folder / f"{host.name}.pid"

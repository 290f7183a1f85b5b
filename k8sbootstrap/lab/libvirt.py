"""libvirt on this machine: its programs, and what it says of virtual machines.

Where systemd runs, libvirt's own units are used. Elsewhere the lab starts its daemons, and stops them after
the last virtual machine.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import kvm
from k8sbootstrap.lab.commands import run, succeeds
from k8sbootstrap.lab.model import ROOT

_URI = ("--connect", "qemu:///system")
_SYSTEMD = Path("/run/systemd/system")
_DAEMONS = ("virtlogd", "libvirtd")
_SAVED_KVM = ROOT / "kvm"
_PIDS = Path("/run/libvirt/qemu")
"""Where libvirt keeps the process ID of each virtual machine that runs."""
_LOGS = Path("/var/log/libvirt/qemu")
_SECONDS_TO_ANSWER = 30.0
_SECONDS_TO_END = 30.0


def virsh(*words: str) -> str:
    """Run virsh and return what it printed.

    Raises:
        LabError: it failed.
    """
    return run("virsh", *_URI, "--quiet", *words)


def ensure() -> None:
    """See that libvirt answers; start its daemons where there is no systemd to do it.

    Raises:
        LabError: It does not answer.
    """
    if _answers():
        return
    if _SYSTEMD.is_dir():
        raise LabError("libvirt does not answer", hint="Start it: systemctl start libvirtd.socket")
    kvm.open_up(_SAVED_KVM)
    for name in _DAEMONS:
        if _own_daemon(name) is None:
            run(name, "--daemon", "--pid-file", str(_pid_file(name)))
    deadline = time.monotonic() + _SECONDS_TO_ANSWER
    while not _answers():
        if time.monotonic() > deadline:
            raise LabError(f"libvirtd was started, but does not answer within {_SECONDS_TO_ANSWER:.0f} s")
        time.sleep(0.1)


def stop_own() -> None:
    """Stop the daemons that ``ensure`` started.

    Raises:
        LabError: One does not end.
    """
    if not any(_pid_file(name).exists() for name in _DAEMONS):
        return
    for name in reversed(_DAEMONS):
        if (pid := _own_daemon(name)) is not None:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + _SECONDS_TO_END
            while _own_daemon(name) is not None:
                if time.monotonic() > deadline:
                    raise LabError(f"{name} does not end within {_SECONDS_TO_END:.0f} s")
                time.sleep(0.1)
        _pid_file(name).unlink(missing_ok=True)
    kvm.close_again(_SAVED_KVM)
    for group in Path("/sys/fs/cgroup").glob("*/machine"):  # libvirt makes it where no systemd does
        with suppress(OSError):  # others use it
            group.rmdir()


def process(domain: str) -> int | None:
    """Process ID of a virtual machine, known without libvirt's daemon; None when it does not run."""
    try:
        pid = int((_PIDS / f"{domain}.pid").read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if any(word.startswith(f"guest={domain},".encode()) for word in words) else None


def domains(prefix: str) -> list[str]:
    """Names of the virtual machines that libvirt has, running or not, and that begin with a prefix."""
    return [name for name in virsh("list", "--all", "--name").split() if name.startswith(prefix)]


def remove_domain(domain: str) -> None:
    """Stop a virtual machine at once and forget it, with libvirt's logs of it. Its disks stay."""
    if process(domain) is not None:
        virsh("destroy", domain)
    virsh("undefine", domain)
    for log in _LOGS.glob(f"{domain}.log*"):
        log.unlink()


def ensure_pool(name: str, folder: Path) -> None:
    """Have a folder as a storage pool of that name."""
    if name not in virsh("pool-list", "--all", "--name").split():
        virsh("pool-define-as", name, "dir", "--target", str(folder))
    if name not in virsh("pool-list", "--name").split():
        virsh("pool-start", name)


def remove_pool(name: str) -> None:
    """Forget a storage pool, if it is there. Its files stay."""
    if name in virsh("pool-list", "--name").split():
        virsh("pool-destroy", name)
    if name in virsh("pool-list", "--all", "--name").split():
        virsh("pool-undefine", name)


def _answers() -> bool:
    return succeeds("virsh", *_URI, "version", "--daemon")


def _pid_file(name: str) -> Path:
    return ROOT / f"{name}.pid"


def _own_daemon(name: str) -> int | None:
    """Process ID of the daemon that the lab started, if it runs."""
    try:
        pid = int(_pid_file(name).read_text())
        program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]  # none when it has ended
    except (OSError, ValueError):
        return None
    return pid if program.endswith(name.encode()) else None

"""Whether virtual machines run on this machine's own processor.

That /dev/kvm is there says little: QEMU's user may not be let in, and some machines that are virtual
themselves have one that runs no Linux.
"""

import json
import os
import pwd
import shutil
import subprocess
from pathlib import Path

_DEVICE = Path("/dev/kvm")
_USER, _GROUP = "libvirt-qemu", "kvm"
_SECONDS = 20.0
_MACHINE = ("-M", "q35", "-accel", "kvm", "-cpu", "host", "-m", "512", "-nodefaults", "-display", "none")


def open_up(saved: Path) -> None:
    """Let QEMU's user use KVM, as udev does where it runs, and keep in a file what was before.

    Else libvirt, whose daemon is root, would find that KVM works and that it does not, and examine QEMU at
    every call. Where QEMU has no such user, the device stays as it is.
    """
    if _DEVICE.exists() and not saved.exists() and not _is_open():
        was = _DEVICE.stat()
        saved.write_text(json.dumps([was.st_uid, was.st_gid, was.st_mode & 0o7777]))
        shutil.chown(_DEVICE, "root", _GROUP)
        _DEVICE.chmod(0o660)


def close_again(saved: Path) -> None:
    """Undo ``open_up``."""
    if saved.exists():
        user, group, mode = json.loads(saved.read_text())
        os.chown(_DEVICE, user, group)
        _DEVICE.chmod(mode)
        saved.unlink()


def _is_open() -> bool:
    try:
        user = pwd.getpwnam(_USER)
    except KeyError:
        return os.access(_DEVICE, os.R_OK | os.W_OK)
    wanted = 0o006
    if _DEVICE.stat().st_gid in os.getgrouplist(_USER, user.pw_gid):
        wanted = 0o060
    return _DEVICE.stat().st_mode & wanted == wanted


def runs(kernel: Path) -> bool:
    """Whether a kernel boots with KVM until it asks for its root file system."""
    if not (_DEVICE.exists() and _is_open()):
        return False
    command = ["qemu-system-x86_64", *_MACHINE, "-serial", "stdio", "-no-reboot"]
    command += ["-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    return b"Unable to mount root" in done.stdout

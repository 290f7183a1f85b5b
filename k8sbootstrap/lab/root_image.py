"""The root file system that lab hosts are copies of: made once per Debian release, then cached."""

import fcntl
import hashlib
import os
import shutil
from pathlib import Path

from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.catalog.distributions import load_distributions
from k8sbootstrap.errors import LabError
from k8sbootstrap.lab.artifacts import Progress
from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.mirror import KEYRING, mirror, passed_on

SUITES = {"debian12": "bookworm", "debian13": "trixie"}
USER = "ops"
"""Has sudo without a password; tests and cluster.yaml use it."""
PASSWORD_USER = "askpass"  # noqa: S105
"""Has sudo with ``PASSWORD``."""
PASSWORD = "lab-password"  # noqa: S105

_BASE = (
    "systemd-sysv,dbus,openssh-server,openssh-sftp-server,python3,python3-apt,iproute2,iptables,nftables,"
    "kmod,procps,sudo,curl,ca-certificates"
)
_SYS_RESOURCE = 24
"""Number of CAP_SYS_RESOURCE in the capability masks of /proc/PID/status (linux/capability.h)."""

_RUNC = """\
#!/bin/sh
# Of the lab, where the machine lacks CAP_SYS_RESOURCE: nothing may lower its oom_score_adj then, and runc
# would fail on every pod. Takes negative values out of what the runtime asks for, and calls the real runc.
previous=
for word; do
  case $previous in
    --bundle | -b) file=$word/config.json ;;
    --process | -p) file=$word ;;
    *)
      case $word in
        --bundle=*) file=${word#--bundle=}/config.json ;;
        --process=*) file=${word#--process=} ;;
        *) file= ;;
      esac
      ;;
  esac
  [ -z "$file" ] || [ ! -f "$file" ] || sed -i 's/"oomScoreAdj": *-[0-9]*/"oomScoreAdj":0/' "$file"
  previous=$word
done
for real in /usr/local/bin/runc /usr/sbin/runc; do
  [ ! -x "$real" ] || exec "$real" "$@"
done
"""

_MOUNTS = """\
#!/bin/sh
# Of the lab: systemd-nspawn mounts these read-only, a real host has them writable.
mount -o remount,rw /sys 2>/dev/null
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
  mountpoint -q "$hierarchy" && mount -o remount,bind,rw "$hierarchy"
done
mount -o remount,bind,rw /proc/sys
mount --make-rshared /
[ -e /dev/kmsg ] || mknod /dev/kmsg c 1 11
exit 0
"""

_NO_UNITS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
)
"""Units that take apt's lock in the middle of a test, or are not for containers."""

_UNIT = """\
[Unit]
DefaultDependencies=no
{order}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={program}

[Install]
WantedBy={target}
"""


def ensure(name: str, progress: Progress) -> Path:
    """Make the image of ``debian12`` or ``debian13`` unless it is there.

    Returns:
        Its folder in the cache. Copy it; never boot it.

    Raises:
        LabError: debootstrap or a package failed.
    """
    recipe = "\n".join(
        (_BASE, _RUNC, _MOUNTS, _UNIT, *_packages(), *_NO_UNITS, str(_lacks_sys_resource()), "2")
    )
    top = cache_dir() / "lab" / "roots"
    top.mkdir(parents=True, exist_ok=True)
    image = top / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with (top / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not image.exists():
            progress(f"making the root file system of {name} (1-3 minutes, once)")
            partial = top / f".{image.name}"
            remove_unfinished(partial)
            _make(SUITES[name], partial)
            partial.rename(image)
    return image


def remove_unfinished(unfinished: Path) -> None:
    """Remove what an interrupted command left of a root file system, but nothing of what is mounted there."""
    points = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
    for point in sorted((each for each in points if each.startswith(f"{unfinished}/")), reverse=True):
        run("umount", "--lazy", point)
    run("rm", "-rf", "--one-file-system", str(unfinished))


def _packages() -> list[str]:
    """Everything the roles may install later."""
    debian = next(each for each in load_distributions().platforms if "debian" in each.versions)
    return sorted({name for names in debian.packages.values() for name in names})


def _lacks_sys_resource() -> bool:
    lines = Path("/proc/self/status").read_text().splitlines()
    mask = next(line.split()[1] for line in lines if line.startswith("CapBnd:"))
    return not int(mask, 16) >> _SYS_RESOURCE & 1


def _make(suite: str, root: Path) -> None:
    site = mirror()
    run(
        "debootstrap",
        "--variant=minbase",
        f"--include={_BASE}",
        f"--keyring={KEYRING}",
        suite,
        str(root),
        site,
    )
    (root / "etc/apt/sources.list").write_text(f"deb {site} {suite} main\n")
    write(root / "etc/apt/apt.conf.d/80lab", passed_on(), 0o644)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    if site.startswith("https:"):
        shutil.copytree("/etc/ssl/certs", root / "etc/ssl/certs", dirs_exist_ok=True, symlinks=True)
    chroot = ("chroot", str(root))
    run(*chroot, "apt-get", "update", "-qq")
    # what roles install lies ready: hosts are bare, and need no network to install it
    install = ("apt-get", "install", "-qq", "-y", "--no-install-recommends", "--download-only")
    run(*chroot, *install, *_packages(), DEBIAN_FRONTEND="noninteractive")
    run(*chroot, "systemctl", "mask", *_NO_UNITS)
    for user in (USER, PASSWORD_USER):
        run(*chroot, "useradd", "-m", "-s", "/bin/bash", user)
    run(*chroot, "chpasswd", stdin=f"{PASSWORD_USER}:{PASSWORD}\n")
    write(
        root / "etc/sudoers.d/lab", f"{USER} ALL=(ALL) NOPASSWD:ALL\n{PASSWORD_USER} ALL=(ALL) ALL\n", 0o440
    )
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    write(
        root / "etc/ssh/sshd_config.d/lab.conf",
        "PasswordAuthentication no\nPermitRootLogin no\nUseDNS no\nMaxStartups 100:30:200\n",
        0o644,
    )
    if _lacks_sys_resource():
        write(root / "usr/local/sbin/runc", _RUNC, 0o755)
    write(root / "usr/local/sbin/lab-mounts", _MOUNTS, 0o755)
    order = "Before=sysinit.target systemd-tmpfiles-setup.service"
    enable_unit(root, "lab-mounts", order, "sysinit.target")
    order = "After=sysinit.target\nBefore=network.target ssh.service"
    enable_unit(root, "lab-network", order, "multi-user.target")
    (root / "etc/machine-id").write_text("")
    if not (root / "usr/sbin/sshd").exists():
        raise LabError(f"debootstrap did not make a usable root file system in {root}")


def enable_unit(root: Path, name: str, order: str, target: str) -> None:
    """Give a root file system a unit that runs the program /usr/local/sbin/NAME once at boot.

    Args:
        root: The root file system.
        name: Of the unit and the program.
        order: Lines for its section Unit.
        target: The target that wants it.
    """
    text = _UNIT.format(order=order, program=f"/usr/local/sbin/{name}", target=target)
    write(root / f"etc/systemd/system/{name}.service", text, 0o644)
    wants = root / f"etc/systemd/system/{target}.wants"
    wants.mkdir(exist_ok=True)
    (wants / f"{name}.service").symlink_to(f"/etc/systemd/system/{name}.service")


def write(path: Path, text: str, mode: int) -> None:
    """Write a file of a root file system, with its mode and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.chmod(path, mode)  # noqa: PTH101

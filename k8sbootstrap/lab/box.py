"""The Vagrant box that virtual machines start from: made from the lab's root file system, then cached.

Its machines boot the kernel directly, so it has no boot loader. What is a machine's own comes on a CD.
"""

import fcntl
import hashlib
import json
import shutil
from pathlib import Path

from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.lab.artifacts import Progress
from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.root_image import enable_unit, remove_unfinished, write

DISK_GIB = 20
"""Size of a machine's disk; its file grows with what is written."""
KERNEL, INITRD = "vmlinuz", "initrd.img"

_PACKAGES = ("linux-image-cloud-amd64", "initramfs-tools", "udev", "qemu-guest-agent")
_INITRAMFS = "MODULES=list\n"
_MODULES = "virtio_pci\nvirtio_blk\next4\n"

_SEED = """\
#!/bin/sh
# Of the lab: unpacks once what is this machine's own: name, address and keys.
[ ! -e /etc/lab-seeded ] || exit 0
tar -x --no-overwrite-dir -f /dev/sr0 -C / || exit 1
hostname -F /etc/hostname
touch /etc/lab-seeded
"""
_SEED_ORDER = """\
Wants=dev-sr0.device
After=dev-sr0.device
Before=lab-network.service ssh.service"""

_REMOVED = (
    "usr/local/sbin/runc",
    "etc/systemd/system/sysinit.target.wants/lab-mounts.service",
    "var/lib/dbus/machine-id",
)
"""What is for containers alone, and an ID that systemd would take for that of every machine."""
_COMMAND_LINE = "root=/dev/vda rw console=ttyS0 net.ifnames=0 no5lvl"
"""no5lvl: page tables of five levels are not for emulation."""
_VAGRANTFILE = f"""\
Vagrant.configure("2") do |config|
  config.vm.provider "libvirt" do |libvirt|
    libvirt.machine_type = "q35"
    libvirt.kernel = File.expand_path("{KERNEL}", __dir__)
    libvirt.initrd = File.expand_path("{INITRD}", __dir__)
    libvirt.cmd_line = "{_COMMAND_LINE}"
  end
end
"""
_METADATA = {"provider": "libvirt", "format": "qcow2", "virtual_size": DISK_GIB}


def ensure(root: Path, progress: Progress) -> Path:
    """Make the box of a root file system unless it is there.

    Args:
        root: The lab's root file system of a Debian release, in the cache.
        progress: Told what is being done.

    Returns:
        The box's file in the cache.

    Raises:
        LabError: A package or a program failed.
    """
    recipe = (
        *_PACKAGES,
        *_REMOVED,
        _INITRAMFS,
        _MODULES,
        _SEED,
        _SEED_ORDER,
        _VAGRANTFILE,
        str(_METADATA),
        root.name,
    )
    digest = hashlib.sha256("\n".join(recipe).encode()).hexdigest()[:12]
    top = cache_dir() / "lab" / "boxes"
    top.mkdir(parents=True, exist_ok=True)
    box = top / f"{root.name.split('-')[0]}-{digest}.box"
    with (top / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not box.exists():
            progress("making the box of virtual machines (about a minute, once)")
            work = top / f".{box.name}"
            remove_unfinished(work)
            work.mkdir()
            _make(root, work)
            (work / "done.box").rename(box)
            remove_unfinished(work)
    return box


def _make(image: Path, work: Path) -> None:
    root, parts = work / "root", work / "parts"
    parts.mkdir()
    run("cp", "-a", "--reflink=auto", str(image), str(root))
    _install(root)
    _prepare(root)
    for name in (KERNEL, INITRD):
        [file] = (root / "boot").glob(f"{name}-*")
        shutil.copy(file, parts / name)
    disk = work / "disk.raw"
    options = ["-q", "-t", "ext4", "-i", "65536", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
    run("mke2fs", *options, "-d", str(root), str(disk), f"{DISK_GIB}G")
    image_options = ["-c", "-o", "compression_type=zstd"]
    run("qemu-img", "convert", "-O", "qcow2", *image_options, str(disk), str(parts / "box.img"))
    (parts / "Vagrantfile").write_text(_VAGRANTFILE)
    (parts / "metadata.json").write_text(json.dumps(_METADATA))
    run(
        "tar", "-cf", str(work / "done.box"), "-C", str(parts), *sorted(path.name for path in parts.iterdir())
    )


def _install(root: Path) -> None:
    """Install kernel and guest agent. Their packages are not kept: only those of roles are to lie ready."""
    write(root / "etc/initramfs-tools/conf.d/lab", _INITRAMFS, 0o644)
    downloads = root / "var/lab-packages"
    (downloads / "partial").mkdir(parents=True)
    chroot = ("chroot", str(root))
    run(*chroot, "apt-get", "update", "-qq")
    options = ("-qq", "-y", "--no-install-recommends", "-oDir::Cache::archives=/var/lab-packages")
    run(*chroot, "apt-get", "install", *options, *_PACKAGES, DEBIAN_FRONTEND="noninteractive")
    shutil.rmtree(downloads)
    with (root / "etc/initramfs-tools/modules").open("a") as modules:
        modules.write(_MODULES)
    run(*chroot, "update-initramfs", "-u")


def _prepare(root: Path) -> None:
    """Take out what machines must not have, and add what gives each its own files."""
    for name in _REMOVED:
        (root / name).unlink(missing_ok=True)
    write(root / "usr/local/sbin/lab-seed", _SEED, 0o755)
    enable_unit(root, "lab-seed", _SEED_ORDER, "sysinit.target")

"""What a lab needs on this machine.

``python -m k8sbootstrap.lab.requirements PROVIDER`` prints the missing packages for nspawn or vagrant.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import go_build
from k8sbootstrap.lab.artifacts import Needed, to_build

_PROGRAMS = {
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "bridge": "iproute2",
    "iptables": "iptables",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "dpkg-deb": "dpkg",
}
_OF_PROVIDERS = {
    "nspawn": {"systemd-nspawn": "systemd-container", "nsenter": "util-linux"},
    "vagrant": {
        "qemu-system-x86_64": "qemu-system-x86",
        "qemu-img": "qemu-utils",
        "mke2fs": "e2fsprogs",
        "libvirtd": "libvirt-daemon-system",
        "virsh": "libvirt-clients",
        "vagrant": "vagrant",
    },
}
_PLUGIN, _PLUGIN_PACKAGE = "rubygems-integration/all/gems/vagrant-libvirt-*", "vagrant-libvirt"
_SHARE = Path("/usr/share")
_C_COMPILER = {"gcc": "gcc"}
_C_HEADER, _C_HEADERS_PACKAGE = Path("/usr/include/stdio.h"), "libc6-dev"


def missing_packages(provider: str, needed: Needed | None = None, others: Sequence[Path] = ()) -> list[str]:
    """Debian packages that a lab needs and this machine lacks.

    Args:
        provider: nspawn or vagrant: what its hosts are.
        needed: What hosts are to be installed with: some programs need a C compiler to be built.
        others: Directories with programs that are not built.
    """
    c = needed is not None and go_build.needs_c(to_build(needed, others))
    programs = _PROGRAMS | _OF_PROVIDERS[provider] | (_C_COMPILER if c else {})
    missing = {package for program, package in programs.items() if shutil.which(program) is None}
    if c and not _C_HEADER.exists():
        missing.add(_C_HEADERS_PACKAGE)
    if provider == "vagrant" and not list(_SHARE.glob(_PLUGIN)):
        missing.add(_PLUGIN_PACKAGE)
    return sorted(missing)


def require_packages(provider: str, needed: Needed, others: Sequence[Path] = ()) -> None:
    """See that everything is there.

    Args:
        provider: nspawn or vagrant: what the hosts are to be.
        needed: What hosts are to be installed with.
        others: Directories with programs that are not built.

    Raises:
        LabError: naming the missing packages and how to install them.
    """
    missing = missing_packages(provider, needed, others)
    if missing:
        raise LabError(
            f"a lab on this machine needs Debian packages that are not installed: {', '.join(missing)}",
            hint="Install them: apt-get update && apt-get install --no-install-recommends "
            f"{' '.join(missing)}",
        )


if __name__ == "__main__":
    print(" ".join(missing_packages(sys.argv[1])))  # noqa: T201

"""What a lab needs on this machine.

``python -m k8sbootstrap.lab.requirements`` prints the missing packages.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import go_build
from k8sbootstrap.lab.artifacts import Needed, to_build

_PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "bridge": "iproute2",
    "iptables": "iptables",
    "nft": "nftables",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "dpkg-deb": "dpkg",
}
_C_COMPILER = {"gcc": "gcc"}
_C_HEADER, _C_HEADERS_PACKAGE = Path("/usr/include/stdio.h"), "libc6-dev"


def missing_packages(needed: Needed | None = None, others: Sequence[Path] = ()) -> list[str]:
    """Debian packages that a lab needs and this machine lacks.

    Args:
        needed: What hosts are to be installed with: some programs need a C compiler to be built.
        others: Directories with programs that are not built.
    """
    c = needed is not None and go_build.needs_c(to_build(needed, others))
    programs = _PROGRAMS | _C_COMPILER if c else _PROGRAMS
    missing = {package for program, package in programs.items() if shutil.which(program) is None}
    if c and not _C_HEADER.exists():
        missing.add(_C_HEADERS_PACKAGE)
    return sorted(missing)


def require_packages(needed: Needed, others: Sequence[Path] = ()) -> None:
    """See that everything is there.

    Args:
        needed: What hosts are to be installed with.
        others: Directories with programs that are not built.

    Raises:
        LabError: naming the missing packages and how to install them.
    """
    missing = missing_packages(needed, others)
    if missing:
        raise LabError(
            f"a lab on this machine needs Debian packages that are not installed: {', '.join(missing)}",
            hint="Install them: apt-get update && apt-get install --no-install-recommends "
            f"{' '.join(missing)}",
        )


if __name__ == "__main__":
    print(" ".join(missing_packages()))  # noqa: T201

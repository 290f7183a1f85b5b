"""What a lab needs on this machine.

``python -m k8sbootstrap.lab.requirements`` prints the missing packages.
"""

import shutil

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab.artifacts import BUILT_VERSION, must_be_built

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
_BUILD_PROGRAMS = {
    "go": "golang-go",
    "dpkg-source": "dpkg-dev",
    "rsync": "rsync",
    "jq": "jq",
    "make": "make",
    "gcc": "gcc",
}


def missing_packages() -> list[str]:
    """Debian packages that a lab needs and this machine lacks.

    Those that build Kubernetes are among them only if it must be built.
    """
    needed = _PROGRAMS | _BUILD_PROGRAMS if must_be_built(BUILT_VERSION) else _PROGRAMS
    return sorted({package for program, package in needed.items() if shutil.which(program) is None})


def require_packages() -> None:
    """See that everything is there.

    Raises:
        LabError: naming the missing packages and how to install them.
    """
    missing = missing_packages()
    if missing:
        raise LabError(
            f"a lab on this machine needs Debian packages that are not installed: {', '.join(missing)}",
            hint="Install them: apt-get update && apt-get install --no-install-recommends "
            f"{' '.join(missing)}",
        )


if __name__ == "__main__":
    print(" ".join(missing_packages()))  # noqa: T201

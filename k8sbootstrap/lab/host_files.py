"""The files that make a copy of the root file system one host: its name, its address and its keys."""

import os
from pathlib import Path

from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.model import Lab, LabHost
from k8sbootstrap.lab.root_image import PASSWORD_USER, USER

_HOST_KEY = Path("etc/ssh/ssh_host_ed25519_key")

_NETWORK = """\
#!/bin/sh
# Of the lab: this host's address. A virtual machine's interface may come late.
n=0
while [ ! -e /sys/class/net/{interface} ] && [ $n -lt 120 ]; do sleep 1; n=$((n + 1)); done
ip address replace {address}/24 dev {interface}
ip link set {interface} up
"""
_WAY_OUT = "ip route replace default via {gateway}\n"
_NO_PACKAGES = "rm -f /var/cache/apt/archives/*.deb\n"


def lay(lab: Lab, host: LabHost, root: Path, *, image: Path, public_key: str, interface: str) -> None:
    """Write a host's own files.

    Args:
        lab: The lab.
        host: Whose files.
        root: Folder to write them into: the host's root file system, or what is to be copied over it.
        image: The root file system that the host is a copy of.
        public_key: What users log in with.
        interface: The host's network interface.
    """
    for folder in ("etc/ssh", "usr/local/sbin"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/hostname").write_text(f"{host.name}\n")
    others = "".join(f"{lab.address(other)} {other.name}\n" for other in lab.hosts)
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n{others}")
    script = root / "usr/local/sbin/lab-network"
    text = _NETWORK + (_NO_PACKAGES if lab.sealed else _WAY_OUT)
    script.write_text(text.format(address=lab.address(host), gateway=lab.gateway, interface=interface))
    script.chmod(0o755)
    if lab.sealed:
        (root / "etc/resolv.conf").write_text("")
    comment = f"root@{host.name}"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(root / _HOST_KEY))
    for user in (USER, PASSWORD_USER):
        keys = root / "home" / user / ".ssh/authorized_keys"
        keys.parent.mkdir(mode=0o700, parents=True)
        keys.write_text(public_key)
        owner = (image / "home" / user).stat()
        for path in (keys.parent, keys):
            os.chown(path, owner.st_uid, owner.st_gid)


def known_key(root: Path) -> str:
    """The public SSH key of the host whose files are in a folder, as known_hosts has it."""
    return " ".join((root / _HOST_KEY).with_suffix(".pub").read_text().split()[:2])

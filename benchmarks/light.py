"""Light hosts: an SSH server and Python in namespaces of their own, so that hundreds fit on one machine."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.catalog.resolve import default_version
from k8sbootstrap.formats import ansible_yaml
from k8sbootstrap.lab import artifacts, cluster_file, root_image
from k8sbootstrap.lab.commands import run
from k8sbootstrap.state import State

BRIDGE, NETWORK = "k8sbench", "10.87.0"
MASTERS = 3
_START = """\
set -eu
until ip link set host0 up 2>/dev/null; do sleep 0.05; done
ip address add $2/24 dev host0
ip link set lo up
hostname $3
mount -t overlay overlay -o lowerdir=$1,upperdir=$4/upper,workdir=$4/work $4/root
mount -t proc proc $4/root/proc
mount --rbind /dev $4/root/dev
mount --bind $4/record $4/root/var/lib/k8sbootstrap
exec chroot $4/root /usr/sbin/sshd -D -e -o PidFile=none
"""


@dataclass(frozen=True)
class Host:
    """One host."""

    name: str
    address: str
    folder: Path


@contextmanager
def running(count: int) -> Iterator[list[Host]]:
    """That many hosts, masters first, for the ``with`` block."""
    image = root_image.ensure("debian12", print)
    processes = []
    with tempfile.TemporaryDirectory(prefix="k8sbench-") as name:
        folder = Path(name)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key"))
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        try:
            run("ip", "address", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
            run("ip", "link", "set", BRIDGE, "up")
            hosts = []
            for index in range(count):
                kind = f"master{index + 1}" if index < MASTERS else f"worker{index + 1 - MASTERS}"
                hosts.append(Host(kind, f"{NETWORK}.{index + 10}", folder / kind))
                processes.append(_start(hosts[-1], image, folder / "key", f"bench{index}"))
            yield hosts
        finally:
            for process in processes:
                process.kill()
                process.wait()
            run("ip", "link", "delete", BRIDGE)


def _start(host: Host, image: Path, key: Path, link: str) -> "subprocess.Popen[bytes]":
    for part in ("upper/etc/ssh", "upper/home/ops/.ssh", "upper/run/sshd", "upper/var/lib/k8sbootstrap"):
        (host.folder / part).mkdir(parents=True)
    for part in ("work", "root", "record"):
        (host.folder / part).mkdir()
    if host.name.startswith("master"):  # a member that has its data
        (host.folder / "upper/var/lib/etcd/member/wal").mkdir(parents=True)
        (host.folder / "upper/var/lib/etcd/member/wal/0.wal").touch()
    shutil.copy(key, host.folder / "upper/etc/ssh/ssh_host_ed25519_key")
    shutil.copy(key.with_suffix(".pub"), host.folder / "upper/home/ops/.ssh/authorized_keys")
    owner = (image / "home/ops").stat()
    for path in (host.folder / "upper/home/ops", *(host.folder / "upper/home/ops").rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    words = ["sh", "-c", _START, "sh", str(image), host.address, host.name, str(host.folder)]
    with (host.folder / "log").open("w") as log:
        spaces = ["--net", "--mount", "--uts", "--pid", "--fork", "--kill-child"]
        process = subprocess.Popen(["unshare", *spaces, *words], stdout=log, stderr=log)
    while Path(f"/proc/{process.pid}/ns/net").samefile("/proc/self/ns/net"):
        time.sleep(0.01)
    run("ip", "link", "add", link, "type", "veth", "peer", "host0", "netns", str(process.pid))
    run("ip", "link", "set", link, "master", BRIDGE, "up")
    return process


def cluster(hosts: list[Host], folder: Path) -> None:
    """Write cluster.yaml and known_hosts for some of the hosts."""
    key = folder / "key"
    shutil.copy(hosts[0].folder.parent / "key", key)
    known = State.beside(folder / "cluster.yaml", cluster_file.CLUSTER_NAME)
    known.create()
    public = (hosts[0].folder.parent / "key.pub").read_text()
    known.known_hosts.write_text("".join(f"{host.address} {public}" for host in hosts))
    named = [
        cluster_file.ListedHost(host.name, host.address, (host.name.rstrip("0123456789"),)) for host in hosts
    ]
    cluster_file.write(
        folder / "cluster.yaml",
        named,
        version=default_version(),
        runtime="docker",
        sources=[artifacts.directory()],
        key=key,
        dns=False,
        containers=True,
        emulated=False,
        cgroup_v1=True,
    )


def settle(hosts: list[Host], inventory: Path) -> None:
    """Let hosts say that all of this inventory has been applied to them.

    Their records name no files, so that looking at a host costs what it costs the controller: hosts that
    share one machine would else take turns at what real ones do at once.
    """
    for host in hosts:
        variables = ansible_yaml.load((inventory / "host_vars" / f"{host.name}.yml").read_text())
        components = {
            name.removesuffix("_digest"): {"digest": value}
            for name, value in variables.items()
            if name.endswith("_digest")
        }
        record = {"version": 1, "cluster": cluster_file.CLUSTER_NAME, "components": components}
        (host.folder / "record" / "record.json").write_text(json.dumps(record))

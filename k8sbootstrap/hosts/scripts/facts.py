"""Runs on a host, never on the controller: looks at what the checks need and prints one JSON document.

It is sent over SSH to ``python3 -``, with one JSON document as its argument: the packages to install, the
host's own address, and an address that should be free. It changes nothing and judges nothing: outputs of
commands and contents of files are handed back as they are (``facts.py`` reads them). Standard library only,
Python 3.7 and later.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import http.client
import json
import os
import platform
import re
import socket
import subprocess
import sys
import time
from typing import Any

LEFTOVERS = (
    "/etc/kubernetes/*.conf",
    "/etc/cni/net.d/*",
    "/var/lib/etcd/member",
    "/var/lib/kubelet",
)
"""What a cluster leaves on a host."""
SETTINGS = (
    "/etc/docker/daemon.json",
    "/etc/containerd/config.toml",
    "/etc/haproxy/haproxy.cfg",
    "/etc/keepalived/keepalived.conf",
    "/etc/docker/registry/config.yml",
)
"""Files that the cluster writes too, and that hosts' owners have settings in."""
LARGEST = 1 << 18
MANY_FOLDERS = 1000
ARP = 0x0806
ARP_TRIES = 2
ARP_SECONDS = 0.3
MODULES = {
    "br_netfilter": "CONFIG_BRIDGE_NETFILTER=y",
    "dummy": "CONFIG_DUMMY=y",
    "geneve": "CONFIG_GENEVE=y",
    "ipip": "CONFIG_NET_IPIP=y",
    "nf_conntrack": "CONFIG_NF_CONNTRACK=y",
    "overlay": "CONFIG_OVERLAY_FS=y",
    "vxlan": "CONFIG_VXLAN=y",
    "wireguard": "CONFIG_WIREGUARD=y",
}
"""Kernel modules, and the line of the kernel's configuration that builds one in."""


def read(path: str) -> str:
    """A file's text, empty when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""


def run(*command: str) -> str | None:
    """A command's standard output; None when it is not installed or fails."""
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")


def modules() -> list[str]:
    """Which of the wanted kernel modules are there, loaded, built in or loadable."""
    kernel = platform.release()
    folder = "/lib/modules/" + kernel
    loadable = read(folder + "/modules.dep") + read(folder + "/modules.builtin")
    loaded = [line.split()[0] for line in read("/proc/modules").splitlines()]
    settings = (read("/boot/config-" + kernel) or kernel_configuration()).splitlines()
    return [
        name
        for name, built_in in MODULES.items()
        if name in loaded or "/" + name + ".ko" in loadable or built_in in settings
    ]


def kernel_configuration() -> str:
    """The running kernel's own copy of its configuration, empty where it has none."""
    try:
        with gzip.open("/proc/config.gz", "rt") as file:
            return file.read()
    except OSError:
        return ""


def disk_free(path: str) -> int:
    """Free bytes where ``path`` is or would be."""
    while not os.path.exists(path):  # noqa: PTH110
        path = os.path.dirname(path)  # noqa: PTH120
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize


def resolv_conf() -> str:
    """What pods are to resolve names by: systemd-resolved's own address is another one in a pod.

    The kubelet's unit (roles/kubelet) takes the same.
    """
    text = read("/etc/resolv.conf")
    if re.search("^nameserver 127.0.0.53", text, re.MULTILINE):
        return read("/run/systemd/resolve/resolv.conf") or text
    return text


def leftovers() -> list[str]:
    """Existing files of a cluster, and its folders that hold a file."""
    return [path for pattern in LEFTOVERS for path in sorted(glob.glob(pattern)) if holds(path)]  # noqa: PTH207


def holds(path: str) -> bool:
    """Whether this is a file, or a folder with one; what file systems have of their own does not count."""
    for count, (_, folders, files) in enumerate(os.walk(path)):
        if files or count > MANY_FOLDERS:
            return True
        folders[:] = [name for name in folders if name != "lost+found"]
    return not os.path.isdir(path)  # noqa: PTH112


def installation(platforms: list[dict[str, Any]]) -> str:
    """What apt would do for the packages that the host lacks, in its own words; empty where that is unknown.

    Args:
        platforms: By distribution what the host would install, as the role packages has it.
    """
    release = dict(line.split("=", 1) for line in read("/etc/os-release").splitlines() if "=" in line)
    name, version = (release.get(key, "").strip("\"'") for key in ("ID", "VERSION_ID"))
    systems = {name + " " + version, name + " " + version.split(".")[0]}
    wanted = [each["packages"] for each in platforms if systems & set(each["os"])]
    status = run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n")
    if not wanted or status is None:
        return ""
    missing = [package for package in wanted[0] if package + " installed" not in status.splitlines()]
    options = ("-s", "-q", "--no-install-recommends", "-o", "Debug::NoLocking=1")
    return (run("apt-get", "install", *options, *missing) or "") if missing else ""


def settings() -> dict[str, dict[str, Any]]:
    """Files that the cluster has too, where there are any: text, and whether a package has it like that."""
    return {
        path: {"text": read(path)[:LARGEST], "stock": is_stock(path)}
        for path in SETTINGS
        if os.path.isfile(path)  # noqa: PTH113
    }


def is_stock(path: str) -> bool:
    """Whether a file is of a package of the distribution, and as that brings it."""
    owner = (run("dpkg-query", "-S", path) or "").partition(":")[0]
    if owner:
        lines = (run("dpkg-query", "-W", "-f", "${Conffiles}\n", owner) or "").splitlines()
        with open(path, "rb") as file:  # noqa: PTH123
            digest = hashlib.md5(file.read(), usedforsecurity=False).hexdigest()
        return any(line.split()[:2] == [path, digest] for line in lines)
    return run("rpm", "-qf", path) is not None and run("rpm", "-Vf", path) is not None


def docker() -> dict[str, Any]:
    """How docker runs: its command lines, what it says of itself and of its running containers.

    It is not started for that.
    """
    unit = run("systemctl", "show", "-p", "ActiveState", "-p", "MainPID", "-p", "ExecStart", "docker.service")
    state = dict(line.split("=", 1) for line in (unit or "").splitlines() if "=" in line)
    paths = (
        "/etc/default/docker",
        "/etc/sysconfig/docker",
        "/proc/" + state.get("MainPID", "0") + "/cmdline",
    )
    lines = [line for path in paths for line in read(path).replace("\0", " ").splitlines() if line[:1] != "#"]
    running = state.get("ActiveState") == "active"
    return {
        "command_lines": [state.get("ExecStart", ""), *lines],
        "info": ask_docker("/info") if running else "",
        "containers": ask_docker("/containers/json") if running else "",
    }


def ask_docker(path: str) -> str:
    """What docker's engine answers, empty where it does not."""
    connection = http.client.HTTPConnection("docker", timeout=5)
    try:
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(5)
        connection.sock.connect("/run/docker.sock")
        connection.request("GET", "/v1.40" + path)
        return connection.getresponse().read(LARGEST).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def answers_at(wanted: str, own: str) -> str:
    """The link-layer address of what answers at an IPv4 address of the network that the host's own is on.

    It is asked as hosts ask before they take an address (RFC 5227). Empty where nothing answers, where there
    is nothing to ask for, and for addresses of the host itself.
    """
    if not wanted:
        return ""
    links = json.loads(run("ip", "-j", "-4", "addr", "show", "to", own) or "[]")
    device = next((link["ifname"] for link in links if "ifname" in link), "")
    target = socket.inet_aton(wanted)
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ARP)) as link:
            link.bind((device, ARP))
            mac = link.getsockname()[4]
            request = b"\0\1\x08\0\6\4\0\1" + mac + bytes(4) + bytes(6) + target
            for _ in range(ARP_TRIES):
                link.send(b"\xff" * 6 + mac + ARP.to_bytes(2, "big") + request)
                end = time.monotonic() + ARP_SECONDS
                while time.monotonic() < end:
                    link.settimeout(max(end - time.monotonic(), 0.001))
                    try:
                        frame = link.recv(64)
                    except socket.timeout:  # noqa: UP041 - they are two before Python 3.10
                        break
                    if frame[20:22] == b"\0\2" and frame[28:32] == target:
                        return ":".join(f"{byte:02x}" for byte in frame[22:28])
    except (OSError, OverflowError):
        pass
    return ""


def main() -> None:
    """Print the facts."""
    asked = json.loads(sys.argv[1])
    os.environ["LC_ALL"] = "C"
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    start = time.time()
    sockets = run("ss", "-Hltnp")
    pids = set(re.findall(r"pid=(\d+)", sockets or ""))
    facts: dict[str, Any] = {
        "python": list(sys.version_info[:3]),
        "os_release": read("/etc/os-release"),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "hostname": platform.node(),
        "machine_id": read("/etc/machine-id"),
        "systemd": os.path.isdir("/run/systemd/system"),  # noqa: PTH112
        "addresses": run("ip", "-j", "-4", "addr", "show"),
        "routes": run("ip", "-j", "-4", "route", "show"),
        "sockets": sockets,
        "cgroups": {pid: read("/proc/" + pid + "/cgroup") for pid in sorted(pids)},
        "swaps": read("/proc/swaps"),
        "meminfo": read("/proc/meminfo"),
        "disk_free": disk_free("/var/lib"),
        "modules": modules(),
        "cgroup_v2": os.path.exists("/sys/fs/cgroup/cgroup.controllers"),  # noqa: PTH110
        "firewalld": run("systemctl", "is-active", "firewalld.service") is not None,
        "ufw": run("ufw", "status") or "",
        "resolv_conf": resolv_conf(),
        "record": read("/var/lib/k8sbootstrap/record.json"),
        "leftovers": leftovers(),
        "runtimes": {
            "containerd": run("containerd", "--version"),
            "docker": run("dockerd", "--version"),
        },
        "settings": settings(),
        "docker": docker(),
        "installation": installation(asked["platforms"]),
        "answers_at": answers_at(asked["free"], asked["address"]),
        "packages": run("apt-cache", "policy", "containerd", "docker.io"),
    }
    facts["clock"] = [start, time.time()]
    sys.stdout.write(json.dumps(facts))


main()

"""Takes off a host exactly what its record says was put on.

Every step may run twice: a killed reset is run again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Container, Iterable

from ansible.module_utils.k8sbootstrap.host.arrivals import leftovers
from ansible.module_utils.k8sbootstrap.host.files import restore
from ansible.module_utils.k8sbootstrap.host.firewall import clean
from ansible.module_utils.k8sbootstrap.host.firewalld import close_all, remove_files, words
from ansible.module_utils.k8sbootstrap.host.install import settle
from ansible.module_utils.k8sbootstrap.host.packages import MANAGERS, PackageError
from ansible.module_utils.k8sbootstrap.host.record import DIRECTORY, PATH, Component, Record
from ansible.module_utils.k8sbootstrap.host.selinux import SELinuxError, set_boolean
from ansible.module_utils.k8sbootstrap.host.trees import (
    TreeError,
    below,
    empty,
    mount_points,
    remove,
    unmount,
)
from ansible.module_utils.k8sbootstrap.host.units import give_back
from ansible.module_utils.k8sbootstrap.images.docker import DockerError, remove_pods
from ansible.module_utils.k8sbootstrap.images.load import ctr
from ansible.module_utils.k8sbootstrap.kube.etcd import withdraw

_KUBELET_FIRST = ("kubelet", "kube_proxy")
_NETWORK = "/etc/k8sbootstrap/pod-network"
_LINKS = (
    "cni0",
    "k8s-vxlan",
    "nodelocaldns",
    "flannel.1",
    "flannel-wg",
    "vxlan.calico",
    "cilium_host",
    "cilium_vxlan",
    "cilium_geneve",
)
_KEEP_LONGEST = ("pod_network", "container_runtime", "host")
_PODS_MOUNTS = "/run/containerd/io.containerd.grpc.v1.cri"
"""Where containerd mounts pods' shared memory."""
_SHIM = "containerd-shim-runc-v2"
_AGAIN = "Stop the processes that use it, and run reset again"


class ResetError(Exception):
    """A step failed; the text names it and the command's own error."""


class Reset:
    """Undoes the record of one host. ``done`` collects one line per thing taken off."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.components = record.data["components"]
        network = self.components.get("pod_network")
        self.pods = _pod_range(network["files"] if network else ())
        self.done: list[str] = []

    def run(self) -> None:
        """Take everything off.

        Raises:
            ResetError: something would not go; what is left is still in the record.
        """
        settle(self.record)
        self._stop(_KUBELET_FIRST)
        self._pods()
        if os.path.exists("/usr/local/bin/kube-proxy"):
            _quietly("/usr/local/bin/kube-proxy", "--cleanup")
        if os.path.exists("/usr/local/lib/k8sbootstrap/pod-network"):
            _quietly("/usr/local/lib/k8sbootstrap/pod-network", "remove")
        self._stop([name for name in self.components if name not in _KEEP_LONGEST])
        self._stop(_KEEP_LONGEST)
        _kill_shims()
        self._network()
        self._unmount()
        for part in self.components.values():
            self._files(part)
        _quietly("systemctl", "daemon-reload")
        self._packages()
        self._trees()
        self._users()
        self._kernel()
        _quietly("systemctl", "daemon-reload")
        _quietly("systemctl", "reset-failed")
        self._units_before()
        withdraw()
        self._own()

    def _stop(self, names: Iterable[str]) -> None:
        for name in names:
            part = self.components.get(name)
            for unit in part["units"] if part else ():
                _quietly("systemctl", "disable", "--now", unit)
                self.done.append(f"{unit} stopped and disabled")

    def _pods(self) -> None:
        """Remove pods' containers, so that their mounts, network namespaces and processes are gone."""
        part = self.components.get("container_runtime")
        runtime = part.get("runtime", "") if part else ""
        if runtime != "containerd" and _is_active("docker.service"):
            with contextlib.suppress(DockerError):
                remove_pods()
        elif runtime != "docker" and _is_active("containerd.service"):
            for task in _quietly(*ctr(), "tasks", "ls", "-q").stdout.split():
                _quietly(*ctr(), "tasks", "kill", "-s", "SIGKILL", task)
            for container in _quietly(*ctr(), "containers", "ls", "-q").stdout.split():
                _quietly(*ctr(), "tasks", "delete", "-f", container)
                _quietly(*ctr(), "containers", "delete", container)
        _quietly("systemctl", "stop", "kubepods.slice")

    def _network(self) -> None:
        _quietly("ip", "-4", "route", "flush", "proto", "75")
        if self.pods:
            _quietly("ip", "-4", "route", "flush", "root", self.pods)
        for link in _LINKS:
            _quietly("ip", "link", "del", link)
        for name in _quietly("ip", "-o", "netns", "list").stdout.splitlines():
            if name.startswith("cni-"):
                _quietly("ip", "netns", "del", name.split()[0])
        close_all(self.record.data["firewall"])
        remove_files(self.record.data["firewall_files"])
        self.done += [f"{words(opening)} closed" for opening in self.record.data["firewall"]]
        try:
            clean(self.record.data.get("nft_tables", []))
        except RuntimeError as error:
            raise ResetError(str(error)) from error

    def _doomed(self) -> list[str]:
        """What goes whole: what was made, what was not there before, and what is new in folders that were."""
        parts = self.components.values()
        made = {path for part in parts for path in part["directories"]} | {
            *self.record.data["residue"],
            *leftovers(),
        }
        doomed = made - set(self.record.data["found"]) - self._parents()
        for folder, entry in self.record.data["found"].items():
            if entry["entries"] is not None and os.path.isdir(folder):
                new = set(os.listdir(folder)) - set(entry["entries"]) - {"lost+found"}
                doomed |= {os.path.join(folder, name) for name in new}
        return sorted(doomed, reverse=True)

    def _parents(self) -> set[str]:
        return {path for part in self.components.values() for path in part.get("parents", [])}

    def _unmount(self) -> None:
        """Unmount what is mounted in folders that go, such as pods' volumes: before anything is deleted."""
        points = mount_points()
        roots = [os.path.realpath(path) for path in self._doomed()]
        inside = {point for root in (*roots, _PODS_MOUNTS) for point in below(root, points)}
        try:
            unmount(sorted(inside - set(roots)))
        except TreeError as error:
            raise ResetError(f"{error}. {_AGAIN}") from error

    def _files(self, part: Component) -> None:
        for dest, entry in sorted(part["files"].items()):
            try:
                restore(dest, entry["original"])
            except OSError as error:
                raise ResetError(f"{dest} can't be removed: {error}") from error
            self.done.append(f"{dest} removed")
        part["files"] = {}
        self.record.save()

    def _trees(self) -> None:
        try:
            for path in self._doomed():
                if os.path.realpath(path) in mount_points():
                    empty(path)
                    os.chown(path, 0, 0)
                    os.chmod(path, 0o755)  # noqa: S103 - as file systems are made
                    self.done.append(
                        f"{path} emptied; the directory is kept because something is mounted there"
                    )
                elif os.path.lexists(path):
                    remove(path)
                    self.done.append(f"{path} removed")
        except TreeError as error:
            raise ResetError(f"{error}. {_AGAIN}") from error
        for path, entry in self.record.data["found"].items():
            if os.path.isdir(path):
                os.chown(path, entry["uid"], entry["gid"])
                os.chmod(path, int(entry["mode"], 8))
        for path in sorted(self._parents(), reverse=True):
            with contextlib.suppress(OSError):  # somebody else put something there
                os.rmdir(path)
                self.done.append(f"{path} removed")

    def _units_before(self) -> None:
        for name, before in self.record.data["units_before"].items():
            problem = give_back(name, before)
            self.done.append(
                f"{name} ran before the installation, but does not start: {problem}"
                if problem
                else f"{name} restored"
            )

    def _own(self) -> None:
        """Remove the record, and all that is beside it."""
        try:
            empty(DIRECTORY, keep=(os.path.basename(PATH),))
            remove(PATH)
            if DIRECTORY not in mount_points():
                os.rmdir(DIRECTORY)
        except TreeError as error:
            raise ResetError(f"{error}. {_AGAIN}") from error

    def _packages(self) -> None:
        manager = MANAGERS[self.record.data["package_manager"]]
        there = manager.installed() if self.record.data["packages"] else set()
        packages = [name for name in self.record.data["packages"] if name in there]
        needed = manager.needed_by_others(packages) if packages else {}
        self.done += [
            f"package {name} is kept: {', '.join(users)} needs it" for name, users in needed.items()
        ]
        packages = [name for name in packages if name not in needed]
        try:
            if packages:
                manager.remove(packages)
        except PackageError as error:
            raise ResetError(str(error)) from error
        self.done += [f"package {name} removed" for name in packages]
        self.record.data["packages"] = []
        self.record.save()

    def _users(self) -> None:
        users = [name for part in self.components.values() for name in part["users"]]
        for name in users + self.record.data.get("package_users", []):
            _quietly("userdel", name)
            self.done.append(f"user {name} removed")
        for name in self.record.data.get("package_groups", []):
            _quietly("groupdel", name)

    def _kernel(self) -> None:
        for name, value in self.record.data["sysctls"].items():
            with (
                contextlib.suppress(OSError),
                open("/proc/sys/" + name.replace(".", "/"), "w", encoding="ascii") as out,
            ):
                out.write(value)
                self.done.append(f"sysctl {name} set back to {value}")
        for name, value in self.record.data["selinux_booleans"].items():
            with contextlib.suppress(SELinuxError):
                set_boolean(name, value)
                self.done.append(f"SELinux boolean {name} set back to {value}")
        for name in self.record.data["modules"]:
            _quietly("modprobe", "-r", name)


def _pod_range(files: Container[str]) -> str:
    """The range of all pods, to which a pod network has made routes; empty where it is not known."""
    try:
        with open(_NETWORK, encoding="ascii") as handle:
            lines = [line.split() for line in handle if _NETWORK in files]
    except OSError:
        return ""
    return next((words[1] for words in lines if words[:1] == ["pods"]), "")


def _kill_shims(proc: str = "/proc") -> None:
    """End the processes that held pods' containers: one whose pod was just being removed stays by itself."""
    for pid in filter(str.isdigit, os.listdir(proc)):
        try:
            with open(f"{proc}/{pid}/cmdline", "rb") as handle:
                words = os.fsdecode(handle.read()).split("\0")
        except OSError:  # it has ended
            continue
        pairs = zip(words, words[1:])
        if os.path.basename(words[0]) == _SHIM and ("-namespace", "k8s.io") in pairs:
            with contextlib.suppress(OSError):
                os.kill(int(pid), signal.SIGKILL)


def _is_active(unit: str) -> bool:
    return _quietly("systemctl", "is-active", unit).returncode == 0


def _quietly(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose failure means that there was nothing to do."""
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "")

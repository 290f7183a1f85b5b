"""Reads the answer of the probe on one host into types."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json

from k8sbootstrap.survey.os_release import os_release
from k8sbootstrap.survey.owners_settings import DockerSettings, OwnedFile, RawDocker, read_docker

_SOCKET = re.compile(
    r"^\S+\s+\d+\s+\d+\s+(?P<address>\S+):(?P<port>\d+)\s+\S+(?:\s+users:\((?P<users>.*)\))?"
)
_USER = re.compile(r'\("(?P<name>[^"]*)",pid=(?P<pid>\d+)')
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_CANDIDATE = re.compile(
    r"^(?P<name>containerd|docker\.io):\n.*\n\s+\S+ (?:\d+:)?(?P<version>\d+\.\d+\.\d+)", re.MULTILINE
)
_REMOVED = re.compile(r"^Remv ([a-z0-9][a-z0-9.+-]+)", re.MULTILINE)
_PACKAGES = {"containerd": "containerd", "docker.io": "docker"}
"""The runtime in each package."""
_NAME_SERVER = re.compile(r"^nameserver\s+(\S+)", re.MULTILINE)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_UNIT = re.compile(r"/([^/\n]+\.service)(?:/|$)", re.MULTILINE)


@dataclass(frozen=True)
class Address:
    """An IPv4 address of an interface."""

    device: str
    interface: IPv4Interface


@dataclass(frozen=True)
class Route:
    """An entry of the main routing table, the default routes left out."""

    destination: IPv4Network
    device: str
    protocol: str


@dataclass(frozen=True)
class Listener:
    """A process that listens on a TCP port."""

    address: str
    """As ss prints it: 0.0.0.0, 127.0.0.1, [::], * and the like."""
    port: int
    process: str
    """Name of the process; empty when it is unknown."""
    unit: str
    """The systemd service it belongs to; empty when it belongs to none."""


@dataclass(frozen=True)
class HostFacts:
    """One host as it is."""

    python: tuple[int, ...]
    os_id: str
    """As in debian."""
    os_version: str
    """As in 12."""
    os_name: str
    """As people call it."""
    machine: str
    """As uname prints it: x86_64, aarch64."""
    kernel: tuple[int, int]
    """Release of the kernel, (6, 1) for 6.1.0-18-amd64; (0, 0) where it can't be told."""
    hostname: str
    machine_id: str
    systemd: bool
    addresses: tuple[Address, ...] | None
    """None where ``ip`` is not installed."""
    routes: tuple[Route, ...] | None
    listeners: tuple[Listener, ...] | None
    """None where ``ss`` is not installed."""
    swaps: tuple[str, ...]
    """Files and devices swapped to."""
    memory: int
    """Bytes of main memory."""
    disk_free: int
    """Free bytes at /var/lib."""
    modules: frozenset[str]
    """Wanted kernel modules that the host has."""
    cgroup_v2: bool
    firewalld: bool
    """Whether it runs."""
    ufw: tuple[str, ...]
    """Words of its status, from ``Status:`` on; empty where ufw is not installed or inactive."""
    name_servers: tuple[str, ...]
    """Name servers that pods on the host get."""
    clock: tuple[float, float]
    """Seconds since 1970 on the host's clock, when the probe began and when it ended."""
    cluster: str
    """Name of the cluster that this tool put here; empty where there is none."""
    recorded: frozenset[str]
    """Files and folders that this tool recorded as its own."""
    leftovers: tuple[str, ...]
    """Paths that another cluster left behind."""
    settings: Mapping[str, OwnedFile]
    """Files of settings that the cluster has too, by path, where they are there."""
    docker: DockerSettings
    answers_at: str
    """Link-layer address of what answers at the address that should be free; empty where nothing does."""
    removed: tuple[str, ...]
    """Packages that apt would have to remove for those that the host lacks."""
    runtimes: Mapping[str, str]
    """Version of docker and containerd by name: the installed one, or the one that would be installed."""


@dataclass(frozen=True)
class RawFacts:
    """The answer of the probe: output of commands and content of files, unread."""

    python: tuple[int, int, int]
    os_release: str
    machine: str
    kernel: str
    hostname: str
    machine_id: str
    systemd: bool
    addresses: str | None
    routes: str | None
    sockets: str | None
    cgroups: dict[str, str]
    swaps: str
    meminfo: str
    disk_free: int
    modules: list[str]
    cgroup_v2: bool
    firewalld: bool
    ufw: str
    resolv_conf: str
    record: str
    leftovers: list[str]
    runtimes: dict[str, str | None]
    settings: dict[str, OwnedFile]
    docker: RawDocker
    installation: str
    answers_at: str
    packages: str | None
    clock: tuple[float, float]


RAW = TypeAdapter(RawFacts)


def parse(text: str) -> HostFacts:
    """Read what the probe printed.

    Raises:
        ValueError: It is not the probe's output.
    """
    return facts_of(RAW.validate_json(text))


def facts_of(raw: RawFacts) -> HostFacts:
    """Read what the probe handed back.

    Raises:
        ValueError: An output is not what its command prints.
    """
    try:
        release = os_release(raw.os_release)
        record = from_json(raw.record) if raw.record else {}
        return HostFacts(
            python=tuple(raw.python),
            os_id=release.get("ID", ""),
            os_version=release.get("VERSION_ID", ""),
            os_name=release.get("PRETTY_NAME", "an unknown operating system"),
            machine=raw.machine,
            kernel=_kernel(raw.kernel),
            hostname=raw.hostname,
            machine_id=raw.machine_id.strip(),
            systemd=raw.systemd,
            addresses=None if raw.addresses is None else tuple(_addresses(raw.addresses)),
            routes=None if raw.routes is None else tuple(read_routes(raw.routes)),
            listeners=None if raw.sockets is None else tuple(read_listeners(raw.sockets, raw.cgroups)),
            swaps=tuple(line.split()[0] for line in raw.swaps.splitlines()[1:] if line.strip()),
            memory=_memory(raw.meminfo),
            disk_free=raw.disk_free,
            modules=frozenset(raw.modules),
            cgroup_v2=raw.cgroup_v2,
            firewalld=raw.firewalld,
            ufw=tuple(raw.ufw.split()) if raw.ufw.startswith("Status: active") else (),
            name_servers=tuple(_NAME_SERVER.findall(raw.resolv_conf)),
            clock=(raw.clock[0], raw.clock[1]),
            cluster=str(record.get("cluster", "")),
            recorded=frozenset(_recorded(record)),
            leftovers=tuple(raw.leftovers),
            settings=raw.settings,
            docker=read_docker(raw.docker),
            answers_at=_mac(raw.answers_at),
            removed=tuple(sorted(set(_REMOVED.findall(raw.installation)))),
            runtimes=_runtimes(raw.runtimes, raw.packages or ""),
        )
    except (LookupError, TypeError, AttributeError, RecursionError) as exc:
        raise ValueError("the output of a command has an unexpected form") from exc


def _mac(text: str) -> str:
    if text and not _MAC.fullmatch(text):
        raise ValueError("a link-layer address is none")
    return text


def _kernel(release: str) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _addresses(text: str) -> list[Address]:
    return [
        Address(link["ifname"], IPv4Interface(f"{entry['local']}/{entry['prefixlen']}"))
        for link in from_json(text or "[]")
        for entry in link.get("addr_info", [])
    ]


def read_routes(text: str) -> list[Route]:
    """Read ``ip -j -4 route show``; default routes are left out.

    Raises:
        ValueError: It is not JSON, or an address in it is none.
        LookupError: An entry has no destination.
    """
    return [
        Route(IPv4Network(entry["dst"]), entry.get("dev", ""), str(entry.get("protocol", "")))
        for entry in from_json(text or "[]")
        if entry["dst"] != "default"
    ]


def read_listeners(text: str, cgroups: Mapping[str, str]) -> list[Listener]:
    """Read ``ss -Hltnp``.

    Args:
        text: What it printed.
        cgroups: Process id to its /proc/PID/cgroup; tells the units.
    """
    found: list[Listener] = []
    for line in text.splitlines():
        match = _SOCKET.match(line)
        if match is None:
            continue
        user = _USER.search(match["users"] or "")
        unit = _UNIT.search(cgroups.get(user["pid"], "")) if user else None
        found.append(
            Listener(
                match["address"], int(match["port"]), user["name"] if user else "", unit[1] if unit else ""
            )
        )
    return found


def _runtimes(installed: Mapping[str, str | None], packages: str) -> dict[str, str]:
    """Versions from what the programs say, or else from what apt would install."""
    candidates = {_PACKAGES[match["name"]]: match["version"] for match in _CANDIDATE.finditer(packages)}
    programs = {name: _VERSION.search(text or "") for name, text in installed.items()}
    return candidates | {name: match[0] for name, match in programs.items() if match}


def _memory(meminfo: str) -> int:
    match = re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _recorded(record: Mapping[str, Any]) -> list[str]:
    return [
        path
        for component in record.get("components", {}).values()
        for kind in ("files", "directories", "residue")
        for path in component.get(kind, ())
    ]

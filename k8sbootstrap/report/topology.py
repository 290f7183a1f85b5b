"""The cluster's shape, read from the inventory that the run worked with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from k8sbootstrap.formats import ansible_yaml

_LOCAL = "https://127.0.0.1:"
_RELEASE = re.compile(r"/(?P<name>[^/]+)/(?P<version>[^/]*\d[^/]*)/(?:amd64|arm64)/[^/]+\Z")
"""The end of an artifact's path: see ``ArtifactFile.key``."""


@dataclass(frozen=True)
class ClusterHost:
    """One host of the cluster."""

    name: str
    address: str
    """The one that the cluster uses, else the one that SSH uses; empty when the inventory has none."""
    master: bool
    etcd: bool
    node: bool
    tainted: bool
    """Whether pods keep away unless they say otherwise."""
    api: str
    """Where its kubelet reaches the API; empty for hosts that are no nodes."""

    @property
    def roles(self) -> tuple[str, ...]:
        """What it is, in words."""
        runs_pods = self.node and not (self.master and self.tainted)
        words = (("etcd", self.etcd), ("API server", self.master), ("pods", runs_pods))
        return tuple(word for word, applies in words if applies)


@dataclass(frozen=True)
class Topology:
    """The hosts, and how they reach the API."""

    members: tuple[ClusterHost, ...]
    endpoint: str
    """Load balancer in front of the API servers that the user runs; empty when there is none."""
    local_port: int | None
    """Port of the load balancer that each worker runs itself; None when workers have none."""
    releases: tuple[tuple[str, str], ...]
    """What was installed, and in which version."""

    @property
    def masters(self) -> tuple[ClusterHost, ...]:
        """Hosts with an API server."""
        return tuple(member for member in self.members if member.master)

    @property
    def etcd_members(self) -> tuple[ClusterHost, ...]:
        """Hosts with etcd."""
        return tuple(member for member in self.members if member.etcd)

    @property
    def etcd_hosts(self) -> tuple[ClusterHost, ...]:
        """Hosts with etcd that are no masters."""
        return tuple(member for member in self.members if member.etcd and not member.master)

    @property
    def workers(self) -> tuple[ClusterHost, ...]:
        """Nodes that are no masters."""
        return tuple(member for member in self.members if not member.master and not member.etcd)


def read_topology(inventory: Path) -> Topology | None:
    """The topology in an inventory directory; None when there is none that can be read."""
    groups = {
        name: list(_mapping(_mapping(group).get("hosts")))
        for name, group in _mapping(_under(_load(inventory / "hosts.yml"), "all", "children")).items()
    }
    names = dict.fromkeys(host for hosts in groups.values() for host in hosts)
    members = tuple(_member(str(name), inventory, groups) for name in names)
    if not members:
        return None
    apis = [member.api for member in members if member.api and not member.master]
    endpoints = [api for api in apis if not api.startswith(_LOCAL)]
    ports = [api.removeprefix(_LOCAL) for api in apis if api.startswith(_LOCAL)]
    return Topology(
        members=members,
        endpoint=endpoints[0] if endpoints else "",
        local_port=int(ports[0]) if ports and ports[0].isdecimal() else None,
        releases=_releases(_load(inventory / "group_vars" / "all.yml")),
    )


def _member(name: str, inventory: Path, groups: Mapping[str, list[str]]) -> ClusterHost:
    variables = _load(inventory / "host_vars" / f"{name}.yml")
    own = ("kubelet_address", "kube_apiserver_address", "etcd_address", "ansible_host")
    addresses = [str(variables[key]) for key in own if variables.get(key)]
    taints = variables.get("kubelet_taints")
    return ClusterHost(
        name=name,
        address=addresses[0] if addresses else "",
        master=name in groups.get("masters", ()),
        etcd=name in groups.get("etcd", ()),
        node=name in groups.get("nodes", ()),
        tainted=isinstance(taints, list)
        and any(_mapping(taint).get("effect") in {"NoSchedule", "NoExecute"} for taint in taints),
        api=str(variables.get("kubelet_api_server") or ""),
    )


def _releases(variables: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Name and version of everything that is installed from a file, as the files' paths tell them."""
    found: dict[str, str] = {}
    for name, binaries in variables.items():
        if name.endswith("_binaries"):
            for binary in _mapping(binaries).values():
                match = _RELEASE.search(str(_mapping(binary).get("path")))
                if match:
                    found[match["name"]] = match["version"]
    return tuple(sorted(found.items(), key=lambda item: (item[0] != "kubernetes", item)))


def _load(path: Path) -> Mapping[str, Any]:
    try:
        return _mapping(ansible_yaml.load(path.read_text(encoding="utf-8", errors="replace")))
    except (OSError, yaml.YAMLError):
        return {}


def _under(document: Mapping[str, Any], *keys: str) -> Any:
    value: Any = document
    for key in keys:
        value = _mapping(value).get(key)
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

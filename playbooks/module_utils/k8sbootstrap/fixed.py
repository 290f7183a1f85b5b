"""What a cluster keeps for good: where it stands on a host, and what a change of it would break.

Modules on hosts and the commands plan and up (k8sbootstrap/checks/refusals.py) judge by these same rules.
Nothing is asked or changed here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import TypedDict

SERVICES = "network.serviceCIDR"
DOMAIN = "network.dnsDomain"
MASK = "network.nodeCIDRMaskSize"
PODS = "network.podCIDR"
PLUGIN = "network.plugin"
IPAM = "network.cilium.ipam"
RUNTIME = "runtime.name"
ISSUER = "kubernetes.extraArgs.kube-apiserver.service-account-issuer"
PREFIX = "kubernetes.extraArgs.kube-apiserver.etcd-prefix"
NAME = "hosts[].name"
ADDRESS = "hosts[].privateAddress"
OF_HOST = (NAME, ADDRESS)
"""Keys that differ from host to host; all others are the cluster's."""
_HARM = {
    SERVICES: (
        "Services have addresses in {}",
        "existing Services would keep addresses that no node routes, also those of the API and the DNS",
    ),
    DOMAIN: (
        "the DNS domain is {}",
        "names that pods use would not resolve, and the issuer of all their tokens would change",
    ),
    MASK: (
        "each node has a /{} range for pods",
        "nodes keep their ranges, and ranges of two sizes would overlap",
    ),
    PODS: ("its pods are in {}", "nodes keep their ranges, which would not be routed"),
    PLUGIN: ("its pod network is {}", "running pods would keep addresses that are not routed"),
    IPAM: ("the addresses of its pods come from {}", "pods would keep addresses of the old ranges"),
    RUNTIME: (
        "its containers run in {}",
        "old containers would keep running, and the kubelet would not see them",
    ),
    ISSUER: ("the issuer of service account tokens is {}", "the tokens of all pods would become invalid"),
    PREFIX: ("the cluster's objects are in etcd under {}", "API servers would not find them"),
    NAME: (
        "this host is the node {}",
        "its certificate is for this name, so the new node could not join, and the old one would stay",
    ),
    ADDRESS: (
        "this master has the address {}",
        "etcd and the other hosts would not find it at another address",
    ),
}
"""Key to what is, with the value put in, and what a change would do."""
_INSTEAD = {
    ADDRESS: "Set {key} back to {value}. To change it, remove the host and add it anew (docs/remove.md).",
    NAME: "Set the name of the host back to {value}. To change it: k8sbootstrap remove {value}, then write "
    "the new name and run k8sbootstrap up.",
    PODS: "Set {key} back to {value}, or to a larger range that contains it.",
    RUNTIME: "Set {key} back to {value}, or make a new cluster: k8sbootstrap reset, then up.",
    PLUGIN: "Set {key} back to {value}, or make a new cluster: k8sbootstrap reset, then up.",
}
_UNITS = "/etc/systemd/system/"
_FLAGS = {
    _UNITS + "kube-apiserver.service": {
        SERVICES: "service-cluster-ip-range",
        ISSUER: "service-account-issuer",
        PREFIX: "etcd-prefix",
        ADDRESS: "advertise-address",
    },
    _UNITS + "kube-controller-manager.service": {
        SERVICES: "service-cluster-ip-range",
        MASK: "node-cidr-mask-size",
    },
    _UNITS + "etcd.service": {NAME: "name"},
}
_PATTERNS = {
    "/var/lib/kubelet/config.yaml": {DOMAIN: r"(?m)^clusterDomain: ['\"]?([\w.-]+)"},
    _UNITS + "kubelet.service": {
        RUNTIME: r"(?m)^Wants=network-online.target (docker|containerd)\.service",
        NAME: r"(?m)^\s+--hostname-override=([^\s\"\\]+)",
    },
    _UNITS + "kube-proxy.service": {SERVICES: r"route replace ([0-9./]+) dev lo"},
    "/etc/k8sbootstrap/pod-network": {PLUGIN: r"(?m)^plugin (\S+)$", PODS: r"(?m)^pods (\S+)$"},
}
_DEFAULTS = {_UNITS + "kube-apiserver.service": {PREFIX: "/registry"}}
CONFLIST = "/etc/cni/net.d/10-k8sbootstrap.conflist"
"""The file of the pod network routed alone."""
FILES = (*_FLAGS, *_PATTERNS, CONFLIST)
"""The files of ours that say what a cluster was made with."""


class Problem(TypedDict):
    """One value that may not be changed and would be."""

    key: str
    """Key of cluster.yaml."""
    text: str
    """What is, what would be, and what that would break."""
    hint: str
    """What to write instead."""


def values_in(path: str, text: str) -> dict[str, str]:
    """What one of ``FILES`` says: key to value; of a flag that is given several times, the first."""
    if path == CONFLIST:
        return {PLUGIN: "routed"}
    patterns = dict(_PATTERNS.get(path, {}))
    for key, flag in _FLAGS.get(path, {}).items():
        patterns[key] = rf"(?m)^\s+\"?--{flag}=([^\s\"\\]+)"
    found = dict(_DEFAULTS.get(path, {}))
    for key, pattern in patterns.items():
        match = re.search(pattern, text)
        if match:
            found[key] = match.group(1)
    return found


def judge(host: str, made_with: Mapping[str, str], planned: Mapping[str, str], file: str) -> list[Problem]:
    """What may not be changed and would be.

    Args:
        host: What to call the host that has it.
        made_with: Key to value, as the host has it.
        planned: Key to value, as they are to be; those that either lacks are not compared.
        file: What to call the place that names the planned values.

    Returns:
        The problems, in the order of the keys; empty where nothing that is kept would change.
    """
    found: list[Problem] = []
    for key, (fact, harm) in _HARM.items():
        before, after = made_with.get(key), planned.get(key)
        if before is None or after is None or _may_become(key, before, after):
            continue
        if key == ISSUER and any(each["key"] == DOMAIN for each in found) and _follows(after, planned):
            continue
        where = key.replace("hosts[]", f"hosts[{planned[NAME]}]") if key == ADDRESS else key
        text = (
            f"{host}: {fact.format(before)}, and {file} says {where}: {after}. This can't be changed: {harm}"
        )
        hint = _INSTEAD.get(key, "Set {key} back to {value}.").format(key=where, value=before)
        found.append({"key": key, "text": text, "hint": hint})
    return found


def _follows(issuer: str, planned: Mapping[str, str]) -> bool:
    return issuer == f"https://kubernetes.default.svc.{planned.get(DOMAIN)}"


def _may_become(key: str, before: str, after: str) -> bool:
    if key == PLUGIN and before == "none":
        return True
    if key == PODS:
        try:
            inner, outer = ipaddress.ip_network(before), ipaddress.ip_network(after)
            return inner.subnet_of(outer)  # type: ignore[arg-type]  # TypeError where versions differ
        except (TypeError, ValueError):
            return False
    return before == after

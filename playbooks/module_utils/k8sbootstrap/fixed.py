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
        "those that exist would keep addresses that no node forwards, the API's own and the DNS's among them",
    ),
    DOMAIN: (
        "the DNS domain is {}",
        "names that pods use would not resolve, and the issuer of all their tokens would be another one",
    ),
    MASK: (
        "nodes have ranges of pods of size /{}",
        "nodes keep the ranges that they have, and ranges of two sizes get in each other's way",
    ),
    PODS: ("its pods are in {}", "nodes keep the ranges that they have, and nobody would route them"),
    PLUGIN: ("its pod network is {}", "pods that run would keep addresses that nobody routes"),
    IPAM: ("its pods' addresses are given by {}", "pods would keep addresses of the old ranges"),
    RUNTIME: (
        "its containers run in {}",
        "those would run on beside their successors, unseen by the kubelet",
    ),
    ISSUER: ("service accounts' tokens are issued by {}", "the tokens of all pods would become invalid"),
    PREFIX: ("the cluster's objects are in etcd under {}", "API servers would find none of them"),
    NAME: (
        "this host is the node {}",
        "its certificate is for that name, the new node could not join, and the old one would be left",
    ),
    ADDRESS: (
        "this master serves at {}",
        "etcd and the other hosts would not find it under another address",
    ),
}
"""Key to what is, with the value put in, and what a change would do."""
_INSTEAD = {
    ADDRESS: "Addresses of masters can't be changed yet: set it back to {}.",
    NAME: "Call the host {} again.",
    PODS: "Set it back to {}, or to a larger range around that one.",
    RUNTIME: "Set it back to {}, or make a new cluster: k8sbootstrap reset, then up.",
    PLUGIN: "Set it back to {}, or make a new cluster: k8sbootstrap reset, then up.",
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
        hint = _INSTEAD.get(key, "Set it back to {}.").format(before)
        found.append({"key": key, "text": text, "hint": f"{where}: {hint}"})
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

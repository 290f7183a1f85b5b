"""Rules about hosts: identity, roles, labels and taints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.past_hosts import remembered
from k8sbootstrap.config.rules.finding import Finding
from k8sbootstrap.config.rules.syntax import (
    is_dns_name,
    is_ip,
    is_ipv4,
    is_label_value,
    is_qualified_name,
)
from k8sbootstrap.state import State

_KEY_FIX = (
    "write NAME or PREFIX/NAME; NAME has at most 63 letters, digits, '-', '_' and '.', PREFIX is a DNS name"
)
_VALUE_FIX = "use at most 63 letters, digits, '-', '_' and '.', and begin and end with a letter or digit"
_ROLE_LABEL = "node-role.kubernetes.io/"


def unique_hosts(draft: Draft) -> Iterator[Finding]:
    """No two hosts share a name, an SSH address and port, or a private address."""
    cluster_port = draft.ssh.port if draft.ssh else None
    names: dict[Any, int] = {}
    addresses: dict[Any, int] = {}
    privates: dict[Any, int] = {}
    for index, host in draft.hosts.items():
        endpoint = (host.address.lower(), host.ssh.port or cluster_port or 22)
        private_key = "privateAddress" if host.private_address else "address"
        for seen, value, key in (
            (names, host.name, "name"),
            (addresses, endpoint, "address"),
            (privates, host.cluster_address, private_key),
        ):
            first = seen.setdefault(value, index)
            if value is None or first == index:
                continue
            if seen is privates and addresses[endpoint] == first and private_key == "address":
                continue  # the same mistake, said already
            shown = value[0] if isinstance(value, tuple) else value
            yield Finding(
                ("hosts", index, key), f"{shown} is also used by hosts[{first}]", "give each host its own"
            )


def addresses(draft: Draft) -> Iterator[Finding]:
    """An address is a name or an IP address, and the cluster knows an IPv4 address of every host."""
    for index, host in draft.hosts.items():
        if not is_ip(host.address) and not is_dns_name(host.address):
            yield Finding(
                ("hosts", index, "address"),
                f'"{host.address}" is neither an IP address nor a host name',
                "write it like 10.0.0.11 or m1.example.com",
            )
        elif host.private_address is None and not is_ipv4(host.address):
            yield Finding(
                ("hosts", index, "privateAddress"),
                "is missing, and address can't be used instead because it is not an IPv4 address",
                "add the IPv4 address at which the other hosts reach this one",
            )
        elif (own := host.cluster_address) and (own.is_loopback or own.is_multicast or own.is_unspecified):
            key = "privateAddress" if host.private_address else "address"
            yield Finding(
                ("hosts", index, key),
                f"the other hosts cannot reach this host at {own}",
                "set privateAddress to an IPv4 address on the hosts' common network",
            )


def bastions(draft: Draft) -> Iterator[Finding]:
    """The address of a bastion is a name or an IP address."""
    if draft.ssh and draft.ssh.bastion:
        yield from _bastion_address(draft.ssh.bastion.address, "ssh")
    for index, host in draft.hosts.items():
        if host.ssh.bastion:
            yield from _bastion_address(host.ssh.bastion.address, "hosts", index, "ssh")


def _bastion_address(address: str, *ssh: str | int) -> Iterator[Finding]:
    if not is_ip(address) and not is_dns_name(address):
        yield Finding(
            (*ssh, "bastion", "address"),
            f'"{address}" is neither an IP address nor a host name',
            "write it like 10.0.0.1 or bastion.example.com",
        )


def roles(draft: Draft) -> Iterator[Finding]:
    """There is a master, and no role is given twice."""
    for index, host in draft.hosts.items():
        if len(set(host.roles)) < len(host.roles):
            yield Finding(("hosts", index, "roles"), "a role is given twice", "write each role once")
    if not draft.all_hosts:
        return
    if not any("master" in host.roles for host in draft.hosts.values()):
        yield Finding(("hosts",), "no host has the role master", "give it to one host or to three hosts")


def members(draft: Draft, base: Path) -> Iterator[Finding]:
    """The number of etcd's members is odd, or they are what is left of a cluster that had more."""
    members = draft.effective_etcd()
    if not draft.all_hosts or len(members) % 2 or not members:
        return
    if draft.name:
        past = remembered(State.beside(base / "cluster.yaml", draft.name))
        if all((known := past.get(draft.hosts[index].name)) and known.is_etcd for index in members):
            return
    separate = any("etcd" in host.roles for host in draft.hosts.values())
    why = f"{len(members)} etcd members tolerate no more failures than {len(members) - 1}"
    numbers = f"{len(members) - 1} or {len(members) + 1}"
    if separate:
        fix = f"have {numbers} members: remove the role etcd from one host, or add it to one more"
    else:
        fix = f"have {numbers} masters, or give the role etcd to an odd number of hosts"
        why += "; etcd runs on every master because no host has the role etcd"
    yield Finding(("hosts",), why, fix)


def labels(draft: Draft) -> Iterator[Finding]:
    """Labels are spelled as Kubernetes takes them, and roles are not set by label."""
    for index, host in draft.hosts.items():
        for key, value in host.labels.items():
            location = ("hosts", index, "labels", key)
            if key.startswith(_ROLE_LABEL):
                yield Finding(location, "k8sbootstrap sets role labels itself", "use roles, or another label")
            elif not is_qualified_name(key):
                yield Finding(location, f'"{key}" is not a label key', _KEY_FIX)
            if not is_label_value(value):
                yield Finding(location, f'"{value}" is not a label value', _VALUE_FIX)


def taints(draft: Draft) -> Iterator[Finding]:
    """Taints are spelled as Kubernetes takes them, one for each key and effect."""
    for index, host in draft.hosts.items():
        seen = set()
        for position, taint in enumerate(host.taints or []):
            location = ("hosts", index, "taints", position)
            if not is_qualified_name(taint.key):
                yield Finding((*location, "key"), f'"{taint.key}" is not a taint key', _KEY_FIX)
            if not is_label_value(taint.value):
                yield Finding((*location, "value"), f'"{taint.value}" is not a taint value', _VALUE_FIX)
            if (taint.key, taint.effect) in seen:
                what = f"{taint.key} with the effect {taint.effect} is given twice"
                yield Finding(location, what, "remove one of them")
            seen.add((taint.key, taint.effect))

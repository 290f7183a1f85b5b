"""The text of a small cluster.yaml, for tests that need one and are about something else."""

import re

_NAME = re.compile(r"(m|master|w|worker|e|etcd)(\d+)")
_KINDS = {"m": ("master", 10), "w": ("worker", 20), "e": ("etcd", 30)}


def cluster_yaml(*hosts: str, version: str = "1.36.2", subnet: str = "10.0.0", **keys: str) -> str:
    """The text of a valid cluster.yaml.

    Args:
        hosts: Names (``m2`` or ``master2`` is a master at 10.0.0.12, ``w1`` or ``worker1`` a worker at
            10.0.0.21, ``e1`` or ``etcd1`` an etcd host at 10.0.0.31), followed by other keys of the host if
            need be: ``w1, arch: arm64``. What starts with ``name:`` is all of a host.
        version: Kubernetes release.
        subnet: First three numbers of the addresses.
        keys: Other keys of the file, or instead of its own, with values in YAML: ``dns="{name: none}"``.
    """
    head = {
        "apiVersion": "k8sbootstrap/v1alpha1",
        "kind": "Cluster",
        "name": "demo",
        "kubernetes": f"{{version: {version}}}",
    }
    lines = [f"{key}: {value}" for key, value in (head | keys).items()]
    return "\n".join([*lines, "hosts:", *(f"  - {{{_host(host, subnet)}}}" for host in hosts), ""])


def _host(text: str, subnet: str) -> str:
    if text.startswith("name:"):
        return text
    name, comma, more = text.partition(",")
    found = _NAME.fullmatch(name)
    if not found:
        raise ValueError(f"{name} does not say what the host is: name it m1, w1 or e1, or write name: ...")
    role, base = _KINDS[found[1][0]]
    return f"name: {name}, address: {subnet}.{base + int(found[2])}, roles: [{role}]{comma}{more}"

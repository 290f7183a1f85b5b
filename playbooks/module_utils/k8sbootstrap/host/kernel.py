"""What a host has of kernel modules and sysctls, for what sets them and for the probe."""

from __future__ import annotations

import os

_BUILT_IN = {
    "br_netfilter": "/proc/sys/net/bridge/bridge-nf-call-iptables",
    "nf_conntrack": "/proc/sys/net/netfilter/nf_conntrack_count",
}
"""Where a module that is part of the kernel, and so is in no list of modules, shows itself.

A file that it alone makes: other modules make the folder /proc/sys/net/netfilter too.
"""


def in_kernel(name: str) -> bool:
    """Whether a kernel module is loaded or part of the kernel."""
    if os.path.isdir(f"/sys/module/{name}") or os.path.exists(_BUILT_IN.get(name, "")):
        return True
    with open("/proc/filesystems", encoding="ascii") as handle:
        return name in handle.read().split()


def sysctl_path(name: str) -> str:
    """Where the kernel shows a setting."""
    return "/proc/sys/" + name.replace(".", "/")


def sysctl_value(name: str) -> str | None:
    """A setting as the kernel has it; None where it has none of that name."""
    try:
        with open(sysctl_path(name), encoding="ascii") as handle:
            return handle.read().strip()
    except OSError:
        return None

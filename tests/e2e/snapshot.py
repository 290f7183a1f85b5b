"""What a host is like: files, packages, units, mounts, rules, users and settings, as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labs import Lab

_SECTIONS = {
    "files": (
        "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /dev "
        "-o -path /var/cache/apt -o -path /var/log/apt -o -path /var/log/journal "
        "-o -path /var/lib/apt \\) -prune -o "
        "-type f -printf '%p %m %u %g %s\\n' -o -printf '%p %m %u %g\\n'"
    ),
    "packages": "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n'",
    "units": "systemctl list-unit-files --no-legend --plain | awk '{print $1, $2}'",
    "mounts": "awk '{print $2, $3}' /proc/self/mounts",
    "interfaces": "ip -o link | awk '{print $2}' | cut -d@ -f1",
    "addresses": "ip -o -4 address | awk '{print $2, $4}'",
    "routes": "ip route",
    "iptables": "iptables-save | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'",
    "ip6tables": "ip6tables-save | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'",
    "nft": "nft list ruleset",
    "users": "cat /etc/passwd /etc/group",
    "sysctls": "sysctl net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables",
    # but for those of a kernel of the host's own
    "processes": (
        'if [ "$(cat /proc/2/comm)" = kthreadd ]; then ps -N -p 2 --ppid 2 -o comm=; else ps -eo comm=; fi'
        " | sort -u"
    ),
}
_CHANGING = (
    # grow or change with every login, boot, timer or package run, whoever causes it
    "/var/log/",
    "/var/lib/systemd/",
    "/var/lib/dpkg/",
    "/var/cache/",
    "/etc/ld.so.cache",
    "/etc/.pwd.lock",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/subuid",
    "/etc/subgid",
    "/usr/lib/udev/hwdb.bin",
    "/var/tmp/systemd-private",
)
_PASSING = {
    "sh",
    "ps",
    "find",
    "awk",
    "sort",
    "sudo",
    "sshd",
    "(sd-pam)",
    "(udev-worker)",
    "systemd",
    "python3",
    "apt.systemd.dai",
}


def snapshot(lab: Lab, name: str) -> dict[str, list[str]]:
    """Section name to sorted lines."""
    found = {}
    for section, command in _SECTIONS.items():
        # whatever the command says, the host must have run it: an empty section would hide what differs
        lines = lab.sh(name, f"{{ {command}; }} 2>/dev/null || true").splitlines()
        if section == "files":
            lines = [line for line in lines if not line.startswith(_CHANGING)]
        if section == "processes":
            lines = [line for line in lines if line.strip() not in _PASSING]
        found[section] = sorted(lines)
    return found


def differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, list[str]]:
    """Lines that only one of two snapshots has, by section; empty when they agree."""
    found = {}
    for section, lines in before.items():
        gone = [f"- {line}" for line in lines if line not in set(after[section])]
        new = [f"+ {line}" for line in after[section] if line not in set(lines)]
        if gone or new:
            found[section] = gone + new
    return found

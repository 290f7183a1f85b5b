"""Filters that the roles' templates share."""

from __future__ import annotations


def systemd_flags(flags: dict) -> str:
    """Turn flags into the continuation lines of a systemd ExecStart, sorted, in --flag=value form.

    ``%`` and ``$`` are escaped as systemd.service(5) and systemd.unit(5) want it, values with blanks are
    quoted, and flags whose value is None are left out.
    """
    lines = []
    for name, value in sorted(flags.items()):
        if value is None:
            continue
        text = str(value).lower() if isinstance(value, bool) else str(value)
        word = f"--{name}={text}".replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
        if any(char in word for char in " \t'\";"):
            word = '"' + word.replace('"', '\\"') + '"'
        lines.append("  " + word)
    return " \\\n".join(lines)


def environment_lines(variables: dict) -> str:
    """Variables as lines of a systemd EnvironmentFile, sorted; every value arrives as it is."""
    lines = []
    for name, value in sorted(variables.items()):
        text = "".join("\\" + char if char in '\\"$`' else char for char in str(value))
        lines.append(f'{name}="{text}"')
    return "\n".join(lines)


def etcd_urls(members: dict, own: str) -> str:
    """Client URLs for an API server: its own host's member alone, or all members where it has none.

    An API server that knows several members calls itself unready as soon as one of them does not answer, and
    may keep watches on one that is cut off. With its own member alone it fails and recovers together with its
    host, and clients go to the other masters meanwhile. kubeadm's stacked etcd is set up so too.
    """
    chosen = {own: members[own]} if own in members else members
    return ",".join(f"https://{address}:2379" for address in chosen.values())


def peer_health(members: dict, own: str, scheme: str, port: int, path: str, tls: dict) -> list:  # noqa: PLR0917 - filters are called by position
    """Health endpoints (url, ca, cert, key) of every member but ``own``."""
    return [
        dict(tls, url=f"{scheme}://{address}:{port}{path}")
        for name, address in members.items()
        if name != own
    ]


def members_before(members: dict, own: str, order: list) -> dict:
    """Those of the members that come before ``own`` in a list of hosts."""
    return {name: members[name] for name in order[: order.index(own)] if name in members}


def server_urls(masters: dict, port: int) -> list:
    """URLs of all API servers."""
    return [f"https://{address}:{port}" for address in masters.values()]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict:
        """Filter names to functions."""
        return {
            "systemd_flags": systemd_flags,
            "environment_lines": environment_lines,
            "etcd_urls": etcd_urls,
            "peer_health": peer_health,
            "members_before": members_before,
            "server_urls": server_urls,
        }

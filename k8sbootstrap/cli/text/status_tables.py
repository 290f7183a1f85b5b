"""A cluster's status as rich tables."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from k8sbootstrap.cli.text.etcd import snapshot_line
from k8sbootstrap.survey.status.models import EXPIRY_WARNING, ClusterStatus, ComponentStatus, HostStatus


def tables(status: ClusterStatus) -> Iterator[RenderableType]:
    """Everything to print, from top to bottom."""
    yield Text(f"{status.cluster}: Kubernetes {status.version}, API {status.api_endpoint}", style="bold")
    if status.virtual_ip:
        yield _virtual_ip(status)
    yield Text()
    yield _hosts(status)
    yield Text()
    yield _components(status)
    yield Text()
    yield _etcd(status)
    yield _snapshot(status)
    yield Text()
    yield _good(f"NODES unknown: {status.api_error}", good=False) if status.api_error else _nodes(status)


def _virtual_ip(status: ClusterStatus) -> Text:
    on = ", ".join(status.virtual_ip_on) or "no master"
    return _good(f"The virtual IP {status.virtual_ip} is on {on}", good=len(status.virtual_ip_on) == 1)


def _hosts(status: ClusterStatus) -> Table:
    table = _table("HOST", "ADDRESS", "ROLES", "OS", "KERNEL", "RUNTIME", "CERTIFICATES")
    for host in status.hosts:
        who = (host.name, host.address, ",".join(host.roles))
        if host.reachable:
            table.add_row(*who, Text(host.os), Text(host.kernel), Text(host.runtime or "-"), _expiry(host))
        else:
            table.add_row(*who, _good(f"unreachable: {host.error}", good=False))
    return table


def _expiry(host: HostStatus) -> RenderableType:
    if not host.certificates:
        return _good("none found", good=False)
    first = host.certificates[0]
    if first.days_left < 0:
        return _good(f"EXPIRED {-first.days_left} days ago: {first.path}", good=False)
    if first.days_left < EXPIRY_WARNING.days:
        return Text(f"{first.days_left} days left: {first.path}", style="yellow")
    return f"{first.days_left} days left"


def _components(status: ClusterStatus) -> Table:
    table = _table("COMPONENT", "VERSION", "HEALTHY", "")
    seen: dict[str, dict[str, ComponentStatus]] = {}
    for host in status.hosts:
        for component in host.components:
            seen.setdefault(component.name, {})[host.name] = component
    for name, places in seen.items():
        healthy = sum(component.healthy for component in places.values())
        versions = sorted({component.version or "unknown" for component in places.values()})
        troubles = [f"{host}: {c.message}" for host, c in places.items() if not c.healthy]
        good = healthy == len(places)
        health = _good(f"{healthy}/{len(places)}", good=good)
        table.add_row(name, ", ".join(versions), health, Text("; ".join(troubles)))
    return table


def _etcd(status: ClusterStatus) -> Table:
    table = _table("ETCD MEMBER", "HEALTH", "ROLE", "VERSION", "DB SIZE")
    for member in status.etcd:
        health = _good("healthy" if member.healthy else f"unhealthy: {member.message}", good=member.healthy)
        if member.version:
            role, size = "leader" if member.leader else "follower", f"{member.db_size / 2**20:.1f} MiB"
            table.add_row(member.host, health, role, member.version, size)
        else:
            table.add_row(member.host, health, "", "", "")
    return table


def _snapshot(status: ClusterStatus) -> Text:
    return Text(f"ETCD SNAPSHOT {snapshot_line(status.etcd_snapshot, datetime.now(UTC))}")


def _nodes(status: ClusterStatus) -> Table:
    table = _table("NODE", "STATUS", "VERSION", "INTERNAL IP", "POD CIDR", "")
    for node in status.nodes:
        words = node.message or "Ready"
        if node.ready and not node.schedulable:
            words += ", cordoned"
        note = "" if node.planned else "not in cluster.yaml"
        state = _good(words, good=node.ready)
        table.add_row(node.name, state, node.version, node.internal_ip, node.pod_cidr, note)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ignore")
    return table


def _good(words: str, *, good: bool) -> Text:
    return Text(words, style="green" if good else "red")

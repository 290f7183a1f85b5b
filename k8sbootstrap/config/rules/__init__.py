"""Rules that span fields or need the local machine; each yields every breach it finds."""

from collections.abc import Iterator
from pathlib import Path

from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.rules import (
    authentication,
    charts,
    dns,
    files,
    hooks,
    hosts,
    kubernetes,
    manifests,
    network,
    registry,
    releases,
    runtime,
    snapshots,
    urls,
)
from k8sbootstrap.config.rules.finding import Finding

RULES = (
    releases.minors,
    releases.etcd,
    releases.files,
    kubernetes.catalogued,
    kubernetes.extra_args,
    kubernetes.extra_config,
    runtime.registry_hosts,
    runtime.logins,
    runtime.mirrors,
    runtime.docker_settings,
    runtime.source,
    registry.host,
    registry.port,
    registry.entry,
    hosts.unique_hosts,
    hosts.addresses,
    hosts.bastions,
    hosts.roles,
    hosts.labels,
    hosts.taints,
    network.ranges,
    network.plugin,
    network.overlaps,
    network.endpoint,
    network.virtual_ip,
    network.extra_sans,
    authentication.flags,
    urls.logins,
    snapshots.endpoint,
    snapshots.bucket,
    charts.sources,
    charts.releases,
    dns.replicas,
    dns.upstream,
    dns.without_coredns,
    hooks.points,
    hooks.programs,
)
LOCAL_RULES = (
    hosts.members,
    files.ssh_files,
    files.source_directories,
    files.hook_programs,
    files.registry_files,
    files.snapshot_files,
    files.image_archives,
    manifests.objects,
    charts.local_files,
    authentication.file,
)
"""Rules that look at files of this machine."""


def check(draft: Draft, base: Path) -> Iterator[Finding]:
    """Apply every rule to the parts of a cluster file that could be read.

    Args:
        draft: The valid parts.
        base: The folder of the cluster file, absolute; relative paths in it start there.
    """
    for rule in RULES:
        yield from rule(draft)
    for local_rule in LOCAL_RULES:
        yield from local_rule(draft, base)

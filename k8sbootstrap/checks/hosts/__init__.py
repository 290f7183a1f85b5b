"""The checks, in the order of the report. Adding one here is all that it takes."""

from k8sbootstrap.checks.framework import Check
from k8sbootstrap.checks.hosts import (
    access,
    connections,
    identity,
    leftovers,
    network,
    settings,
    snapshot_bucket,
    system,
    virtual_ip,
)

ACCESS_CHECKS = (
    Check("ssh", access.ssh),
    Check("sudo", access.sudo),
    Check("python", access.python),
)
"""Checks that come before all others: without them nothing can be seen on a host."""
CHECKS = (
    Check("os", system.os),
    Check("packages", system.packages),
    Check("arch", system.arch),
    Check("systemd", system.systemd),
    Check("cgroup", system.cgroup),
    Check("runtime", system.runtime),
    Check("kernel", system.kernel),
    Check("kernel-modules", system.kernel_modules),
    Check("swap", system.swap),
    Check("memory", system.memory),
    Check("disk", system.disk),
    Check("clock-skew", system.clock_skew),
    Check("hostname-unique", identity.hostname_unique),
    Check("machine-id-unique", identity.machine_id_unique),
    Check("address-present", identity.address_present),
    Check("address-unique", identity.address_unique),
    Check("cidr-overlap", network.cidr_overlap),
    Check("virtual-ip", virtual_ip.virtual_ip),
    Check("ports", network.ports),
    Check("firewall", network.firewall),
    Check("connections", connections.connections),
    Check("name-servers", network.name_servers),
    Check("snapshot-bucket", snapshot_bucket.snapshot_bucket),
    Check("settings", settings.settings),
    Check("leftovers", leftovers.leftovers),
)
"""Checks of what was seen on a host."""
CHECK_NAMES = tuple(check.name for checks in (ACCESS_CHECKS, CHECKS) for check in checks)
"""All names that can be ignored, in the order of the report."""

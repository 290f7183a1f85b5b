"""Checks that no two hosts are taken for one another."""

from k8sbootstrap.checks.framework import Verdict, failed, passed, skipped
from k8sbootstrap.checks.hosts.base import HostCase, names


def hostname_unique(case: HostCase) -> Verdict:
    """No other host has the same host name.

    Fix: Run `hostnamectl set-hostname NAME` on one of the hosts.
    """
    others = case.others_with(lambda facts: facts.hostname)
    name = case.facts.hostname
    if not others:
        return passed(name)
    return failed(
        f"the host name {name} is also used by {names(others)}",
        f"Give {names(others)} another host name."
        if name == case.host.name
        else f"Run hostnamectl set-hostname {case.host.name} on the host.",
    )


def machine_id_unique(case: HostCase) -> Verdict:
    """The host has an /etc/machine-id, and no other host has the same one: copies of an image often do.

    Fix: If they are copies of an image, run on all but one: `rm /etc/machine-id /var/lib/dbus/machine-id;
    systemd-machine-id-setup; reboot`. If they are the same machine, list it once in cluster.yaml.
    """
    fix = "rm /etc/machine-id /var/lib/dbus/machine-id; systemd-machine-id-setup; reboot"
    identity = case.facts.machine_id
    if not identity:
        return failed("the host has no machine-id", f"Run on the host: {fix}")
    others = case.others_with(lambda facts: facts.machine_id)
    if others:
        return failed(
            f"the machine-id {identity} is also used by {names(others)}",
            "If they are the same machine, list it once in cluster.yaml. If they are copies "
            f"of one image, run on all except one: {fix}",
        )
    return passed(identity)


def address_present(case: HostCase) -> Verdict:
    """The address for cluster traffic (privateAddress) is on one of the host's interfaces.

    Fix: Set `privateAddress` of the host to an address that `ip address` shows there.
    """
    addresses, wanted = case.facts.addresses, case.host.private_address
    if addresses is None:
        return skipped("the ip command is not installed")
    for address in addresses:
        if address.interface.ip == wanted:
            return passed(f"{wanted} on {address.device}")
    found = ", ".join(str(address.interface.ip) for address in addresses if address.device != "lo")
    return failed(
        f"no interface has the address {wanted}",
        f"Set privateAddress in cluster.yaml to an address that the host has: {found or 'it has none'}.",
    )


def address_unique(case: HostCase) -> Verdict:
    """No other host has this host's address for cluster traffic.

    Fix: Take the address off the other host, or correct `privateAddress` in cluster.yaml.
    """
    wanted = case.host.private_address
    others = [
        name
        for name, seen in case.seen.items()
        if name != case.host.name
        and wanted in {address.interface.ip for address in seen.facts.addresses or ()}
    ]
    if not others:
        return passed(str(wanted))
    return failed(
        f"the address {wanted} is also on an interface of {names(others)}",
        f"Remove the address from {names(others)}, or correct privateAddress in cluster.yaml.",
    )

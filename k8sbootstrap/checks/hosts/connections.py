"""Do the other hosts reach a host at its ports?"""

import re
from collections import defaultdict

from k8sbootstrap.checks.framework import Verdict, failed, passed, skipped, warning
from k8sbootstrap.checks.hosts.base import HostCase, names


def connections(case: HostCase) -> Verdict:
    """The other hosts reach this host at every TCP and UDP port that they will connect to.

    Hosts try it: at each free port a program of k8sbootstrap answers for a moment. A host with firewalld is
    left out, as `up` opens its ports. Between hosts that are in the cluster already, it is a warning.

    Fix: Open the ports that the message names: in the packet filter of the host, in that of the hosts that
    connect, and in firewalls and security groups between them.
    """
    name = case.host.name
    tried = [each for each in case.connections.tried if each.target == name]
    if not tried:
        if case.facts.firewalld:
            return skipped("firewalld is active; k8sbootstrap opens it for the cluster")
        return passed("no other host connects to it")
    failures = [each for each in case.connections.blocked if each.connection.target == name]
    if not failures:
        ports = sorted({(each.port, each.protocol) for each in tried})
        return passed(", ".join(f"{port}/{protocol}" for port, protocol in ports))
    blocked: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in failures:
        at = each.connection
        blocked[f"{at.port}/{at.protocol} ({at.used_by})", each.reason].append(at.source)
    said = "; ".join(f"{port} from {names(hosts)}: {reason}" for (port, reason), hosts in blocked.items())
    # a running cluster may be changed all the same: each step looks at the peers that it needs
    new = not all(case.is_ours(host) for each in failures for host in (each.connection.source, name))
    return (failed if new else warning)(
        f"hosts can't connect to {case.host.private_address}: {said}",
        f"Open these ports on {name}, and in firewalls between the hosts."
        + _filters(case, {each.connection.port for each in failures}),
    )


def _filters(case: HostCase, ports: set[int]) -> str:
    """What on the host itself may drop packets to these ports, as a sentence."""
    at = re.compile(rf"--dports? [\d,:]*\b({'|'.join(map(str, ports))})\b")
    found = [
        rule
        for rule in case.connections.rules.get(case.host.name, ())
        if "--dport" not in rule or at.search(rule)
    ]
    found += ["ufw"] if case.facts.ufw else []
    return f" These rules of {case.host.name} may block them: {'; '.join(found)}." if found else ""

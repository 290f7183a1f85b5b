"""Rules about hosts themselves: do they answer, each other too, is the time right, is there space."""

import re

from k8sbootstrap.checks.doctor.case import Case, HostView, epoch
from k8sbootstrap.checks.doctor.rule import Findings, found, on
from k8sbootstrap.checks.framework import Verdict
from k8sbootstrap.checks.hosts.system import SKEW_FAILS, clock_ahead
from k8sbootstrap.formats.text import count, duration
from k8sbootstrap.hosts.answers import HttpAnswer
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.doctor import parse
from k8sbootstrap.survey.doctor.requests import (
    ETCD_CLIENTS,
    ETCD_PEERS,
    FORWARDS,
    KUBELET,
    SWAPS,
    peer_key,
)

_GIB = 1 << 30
_FULL = 0.05
"""Part of a disk that must be free, where less than ``_COMFORTABLE`` is."""
_COMFORTABLE = 2 * _GIB
_FILES = 0.02
"""Part of the files that a disk can have that must be free."""
_CLOSED = ("timed out", "refused", "no route", "unreachable", "timeout", "reset by peer")
"""Parts of errors, in lower case, of connections that a host did not take."""
_PLAIN_RULE = re.compile(r"-A [\w./:,! -]+")
"""A packet rule that a shell takes as it is."""


def unreachable(case: Case) -> Findings:
    """A host does not answer over SSH.

    Fix: Start the host, or repair its network or SSH. If it is dead for good, run `k8sbootstrap remove NAME
    --dead`.
    """
    for host in case.plan.hosts:
        if host.name not in case.look.lost:
            continue
        node = case.nodes.get(host.name)
        ready = node and node.condition("Ready")
        if ready and ready.status == "True":
            yield found(
                host.name,
                "does not answer over SSH, but its kubelet still reports to the API",
                f"Check SSH: ssh -p {host.ssh.port} {host.ssh.user}@{host.ssh.address}",
                evidence=[case.look.lost[host.name]],
            )
            continue
        yield found(
            host.name,
            "does not answer over SSH",
            f"Start {host.name}. If it is dead for good, run: k8sbootstrap remove {host.name} --dead",
            evidence=[case.look.lost[host.name]],
            since=epoch(ready.last_transition_time) if ready else None,
        )


def swap(case: Case) -> Findings:
    """Swap is on: the kubelet does not start with it, unless cluster.yaml allows it.

    Fix: Run `swapoff -a` there, and remove the swap lines from `/etc/fstab`.
    """
    if allows_swap(case.plan):
        return
    for view in case.on_each(lambda host: host.is_node):
        devices = parse.swaps(view.printed(SWAPS))
        if devices:
            runs = view.unit("kubelet").active
            yield found(
                view.name,
                f"swap is on ({', '.join(devices)}): the kubelet does not start again with it",
                on(view.name, "swapoff -a")
                + ". Then remove the lines with swap from /etc/fstab, and systemd's swap units.",
                evidence=view.printed(SWAPS).splitlines()[1:3],
                harmless=runs,
            )


def allows_swap(plan: ClusterPlan) -> bool:
    """Whether cluster.yaml lets kubelets run with swap."""
    settings = plan.config.kubernetes
    return (
        settings.extra_config.get("kubelet", {}).get("failSwapOn") is False
        or settings.extra_args.get("kubelet", {}).get("fail-swap-on") == "false"
    )


def ports(case: Case) -> Findings:
    """A component works on its host, but other hosts can't connect to its port.

    Fix: Let the host, and what is between the hosts, take TCP connections to that port. Where a packet rule
    blocks it, doctor names the command that removes the rule.
    """
    for view in case.hosts.values():
        for name, port in _served(view):
            here = view.http(name)
            if here is None or not here.status or not view.unit(name).active:
                continue
            refused = {
                other.name: said
                for other in case.hosts.values()
                if (said := other.http(peer_key(view.name, port))) is not None and _closed(said)
            }
            if refused:
                yield _blocked(view, name, port, refused)


def _served(view: HostView) -> list[tuple[str, int]]:
    """Components with ports that other hosts connect to."""
    served = []
    if view.host.is_etcd:
        served += [("etcd", ETCD_CLIENTS), ("etcd", ETCD_PEERS)]
    if view.host.is_master:
        served.append(("kube-apiserver", view.plan.config.api.port))
    if view.host.is_node:
        served.append(("kubelet", KUBELET))
    return served


def _closed(said: HttpAnswer) -> bool:
    return not said.connected and any(words in said.error.lower() for words in _CLOSED)


def _blocked(view: HostView, name: str, port: int, refused: dict[str, HttpAnswer]) -> Verdict:
    rules = [rule for rule in view.rules if re.search(rf"--dports? [\d,:]*\b{port}\b", rule)]
    rules = [rule for rule in rules if re.search(r"-j (DROP|REJECT)", rule)]
    fix = f"Let {view.name}, and what is between the hosts, take TCP connections to port {port} from the "
    fix += "cluster's hosts."
    if rules and _PLAIN_RULE.fullmatch(rules[0]):
        fix = on(view.name, f"iptables {rules[0].replace('-A', '-D', 1)}")
    first = next(iter(refused))
    return found(
        view.name,
        f"{name} runs, but {' and '.join(refused)} can't connect to its port {port}",
        fix,
        evidence=[f"{first} to {view.name}:{port}: {refused[first].error}", *rules[:3]],
    )


def clock(case: Case) -> Findings:
    """A host's clock is more than 5 seconds off: certificates and leases are judged by it.

    Fix: Run `timedatectl set-ntp true` there. It needs systemd-timesyncd or chrony.
    """
    off = {
        view.name: ahead
        for view in case.hosts.values()
        if view.look.answered >= view.look.asked
        and view.answer.clock[0]
        and abs(ahead := clock_ahead(view.look.asked, view.look.answered, view.answer.clock)) > SKEW_FAILS
    }
    if len(off) > 1 and len(off) == len(case.hosts) and max(off.values()) - min(off.values()) < SKEW_FAILS:
        ahead = next(iter(off.values()))
        yield found(
            "this machine",
            f"its clock is {duration(abs(ahead))} {'behind' if ahead > 0 else 'ahead of'} those of all hosts",
            "On this machine, run: timedatectl set-ntp true",
        )
        return
    for name, ahead in off.items():
        yield found(
            name,
            f"the clock is {duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} this machine's",
            on(name, "timedatectl set-ntp true") + " (it needs systemd-timesyncd or chrony)",
            evidence=[f"at least {abs(ahead):.1f} s, as far as the network allows to measure it"],
        )


def disk(case: Case) -> Findings:
    """A disk that the cluster writes to is full, or has room for no more files.

    Fix: Remove what is not needed, or enlarge the disk. `du -xh --max-depth=2 FOLDER | sort -h | tail` shows
    what is large.
    """
    for view in case.hosts.values():
        by_disk: dict[tuple[str, int, int], list[parse.Disk]] = {}
        for each in view.disks:
            by_disk.setdefault((each.source, each.size, each.free), []).append(each)
        for same in by_disk.values():
            disk, folders = same[0], " and ".join(each.folder for each in same)
            if disk.size and disk.free < min(_FULL * disk.size, _COMFORTABLE):
                what = f"{disk.free / _GIB:.1f} of {disk.size / _GIB:.1f} GiB"
            elif disk.files and disk.files_free < _FILES * disk.files:
                what = count(disk.files_free, "file") + f" of {disk.files}"
            else:
                continue
            deepest = same[-1].folder
            yield found(
                view.name,
                f"the disk of {folders} is full: {what} free",
                on(view.name, f"du -xh --max-depth=2 {deepest} | sort -h | tail")
                + ". Then remove what is not needed, or enlarge the disk.",
                evidence=[
                    f"df: {disk.source}: {disk.free} of {disk.size} bytes free",
                    f"df: {disk.source}: {disk.files_free} of {disk.files} files free",
                ],
            )


def forwarding(case: Case) -> Findings:
    """A node does not forward packets: its pods reach nothing outside of it.

    Fix: Run `sysctl -w net.ipv4.ip_forward=1` there. If it comes back, another file in `/etc/sysctl.d` sets
    it.
    """
    for view in case.on_each(lambda host: host.is_node):
        if view.printed(FORWARDS).strip() == "0":
            yield found(
                view.name,
                "does not forward packets: net.ipv4.ip_forward is 0",
                on(view.name, "sysctl -w net.ipv4.ip_forward=1")
                + ". If it comes back, look for another file in /etc/sysctl.d that sets it.",
                evidence=["/proc/sys/net/ipv4/ip_forward: 0"],
            )

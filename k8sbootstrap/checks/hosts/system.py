"""Checks of one machine on its own."""

from functools import cache
from pathlib import Path

from k8sbootstrap.artifacts.bundle.reader import open_bundle
from k8sbootstrap.catalog.data import ARCHITECTURES, MACHINES
from k8sbootstrap.catalog.distributions import platform_of, supported
from k8sbootstrap.catalog.runtimes import docker_misfit, misfit
from k8sbootstrap.checks.framework import Verdict, failed, passed, skipped, warning
from k8sbootstrap.checks.hosts.base import HostCase
from k8sbootstrap.config.models.network import Network

GIB = 1024**3
WANTED_MODULES = ("overlay", "br_netfilter", "nf_conntrack")
_CACHE_MODULES = ["dummy"]
"""What the interface of the DNS cache on every node needs."""
KERNEL_OF_MODE = {"iptables": (0, 0), "nftables": (5, 13)}
"""The oldest kernel that each mode of kube-proxy works with."""
KERNEL_OF_CILIUM = (5, 10)
SKEW_FAILS = 5.0
"""Seconds. etcd and leases suffer beyond it, and so does anybody who reads logs of two hosts."""
SKEW_WARNS = 1.0
_DISK = {"etcd": (1, 4), "node": (2, 10)}
"""GiB free at /var/lib: fails below the first, warns below the second."""
_DISK_OF_INSTALLED = 0.25
"""GiB that must still be free where this cluster is installed already."""
_MEMORY = {"etcd": (0.25, 1), "worker": (0.5, 1), "master": (1, 1.7)}
"""GiB of memory: fails below the first, warns below the second."""


def os(case: HostCase) -> Verdict:
    """The distribution is one of [those that are supported](distributions.md).

    Fix: Install one of the supported distributions on the host. To try another one all the same, ignore this
    check by its name.
    """
    facts = case.facts
    if platform_of(facts.os_id, facts.os_version):
        return passed(facts.os_name)
    return failed(f"{facts.os_name} is not supported", f"Install one of these on the host: {supported()}.")


def packages(case: HostCase) -> Verdict:
    """All packages that the host needs are available, and none of the host's own must be removed for them.

    Some distributions have no container runtime. A bundle has packages for the systems that it was made for.

    Fix: The message names the package. Where the distribution has no container runtime, set `runtime.name:
    containerd` and `runtime.source: upstream`. Where packages stand in the way (docker-ce), remove them
    first, or use another host.
    """
    facts, purposes = case.facts, case.plan.package_purposes(case.host)
    platform = platform_of(facts.os_id, facts.os_version)
    if platform is None:
        return skipped("the packages for this distribution are not known")
    lacking = platform.lacks(purposes)
    names = platform.names(purposes) if not lacking else []
    if names and case.plan.bundle and not case.ours:
        system = f"{facts.os_id}{facts.os_version}/{case.host.arch}"
        bundled = _bundled(case.plan.bundle)
        if system not in bundled:
            return failed(
                f"the bundle has packages for {', '.join(bundled) or 'no system'}, but this host is {system}",
                "Make a new bundle: k8sbootstrap bundle create, with --os for each operating "
                "system of your hosts.",
            )
    if facts.removed:
        return failed(
            f"to install the missing packages, apt would have to remove {', '.join(facts.removed)}",
            _without(case),
        )
    if not lacking:
        return passed(", ".join(names) or "none are needed")
    fix = f"Install one of these on the host: {supported(purposes)}."
    if lacking == ["containerd"]:
        fix = "Set runtime.source: upstream in cluster.yaml."
    return failed(f"{facts.os_name} has no package for {' or '.join(lacking)}", fix)


def _without(case: HostCase) -> str:
    """What to do where packages of the host stand in the way."""
    fix = "Use a host without these packages, or remove them first"
    runtime = case.plan.config.runtime
    if not case.host.is_node or runtime.source == "upstream":
        return f"{fix}."
    name = "" if runtime.name == "containerd" else "runtime.name: containerd and "
    return (
        f"{fix}. If they are of a container runtime, set {name}runtime.source: upstream, "
        "which needs no package of one."
    )


@cache
def _bundled(bundle: Path) -> tuple[str, ...]:
    """Systems that a bundle has packages for."""
    return tuple(sorted(open_bundle(bundle).manifest.packages))


def arch(case: HostCase) -> Verdict:
    """The processor has the architecture that cluster.yaml names for the host (arch).

    Fix: Write `arch: amd64` or `arch: arm64` at the host in cluster.yaml.
    """
    found, wanted = MACHINES.get(case.facts.machine, case.facts.machine), case.host.arch
    if found == wanted:
        return passed(found)
    return failed(
        f"the processor is {found}, but the binaries are for {wanted}",
        f"Write arch: {found} at this host in cluster.yaml."
        if found in ARCHITECTURES
        else f"Use hosts of {' or '.join(ARCHITECTURES)}.",
    )


def systemd(case: HostCase) -> Verdict:
    """The host was booted with systemd, which runs all components.

    Fix: Boot the host with systemd. A container needs an image that does.
    """
    if case.facts.systemd:
        return passed("systemd is running")
    return failed("systemd is not the first process (PID 1)", "Boot the host with systemd.")


def cgroup(case: HostCase) -> Verdict:
    """The release's kubelet supports the host's cgroup version: from 1.35 on, version 2.

    Fix: Boot the host with the kernel parameter `systemd.unified_cgroup_hierarchy=1`. Or set
    `kubernetes.extraConfig.kubelet.failCgroupV1: false` as long as the release takes it.
    """
    if not case.host.is_node:
        return passed("no pods run on this host")
    if case.facts.cgroup_v2:
        return passed("version 2")
    if not case.plan.release.minor.fail_cgroup_v1:
        return passed("version 1")
    version = case.plan.release.version
    if case.plan.config.kubernetes.extra_config.get("kubelet", {}).get("failCgroupV1") is False:
        return warning(
            f"version 1: Kubernetes {version} runs on it only because failCgroupV1 is false in "
            "cluster.yaml. Later releases will not run on it",
            "Plan to boot the host with cgroup version 2 (systemd.unified_cgroup_hierarchy=1).",
        )
    return failed(
        f"version 1: the kubelet of Kubernetes {version} refuses to start on it",
        "Boot the host with cgroup version 2 (kernel parameter systemd.unified_cgroup_hierarchy=1), or set "
        "kubernetes.extraConfig.kubelet.failCgroupV1: false in cluster.yaml.",
    )


def runtime(case: HostCase) -> Verdict:
    """The container runtime, installed or from the distribution's packages, works with the release.

    Fix: Install a newer runtime, or set `runtime.source: upstream` (containerd) or `runtime.name: containerd`
    (instead of docker) in cluster.yaml.
    """
    wanted = case.plan.config.runtime
    if not case.host.is_node:
        return passed("no pods run on this host")
    if wanted.source == "upstream":
        return passed(f"{wanted.name} {case.plan.release.containerd['containerd'].version}, upstream's")
    found = case.facts.runtimes.get(wanted.name)
    if found is None:
        return skipped(f"the version of {wanted.name} that the host would get is not known")
    release = case.plan.release
    wrong = misfit(wanted.name, found, release.minor)
    if not wrong and wanted.name == "docker":
        wrong = docker_misfit(found, release.binaries["cri-dockerd"].version)
    if not wrong:
        return passed(f"{wanted.name} {found}")
    other = "runtime.source: upstream" if wanted.name == "containerd" else "runtime.name: containerd"
    return failed(wrong, f"Install that on the host, or set {other} in cluster.yaml.")


def kernel(case: HostCase) -> Verdict:
    """The kernel is new enough: Linux 5.13 for network.kubeProxyMode nftables, 5.10 for cilium.

    Fix: Boot a newer kernel, or set `network.kubeProxyMode: iptables`, or another `network.plugin`.
    """
    found, network = case.facts.kernel, case.plan.config.network
    mode = network.kube_proxy_mode
    if not case.host.is_node:
        return passed(f"Linux {_dotted(found)}")
    if case.plan.has_kube_proxy and found < KERNEL_OF_MODE[mode]:
        return failed(
            f"Linux {_dotted(found)}: kube-proxy's mode {mode} needs {_dotted(KERNEL_OF_MODE[mode])}",
            "Boot a newer kernel, or set network.kubeProxyMode: iptables in cluster.yaml.",
        )
    if network.plugin == "cilium" and found < KERNEL_OF_CILIUM:
        return failed(
            f"Linux {_dotted(found)}: cilium needs {_dotted(KERNEL_OF_CILIUM)}",
            "Boot a newer kernel, or set another network.plugin in cluster.yaml.",
        )
    return passed(f"Linux {_dotted(found)}")


def kernel_modules(case: HostCase) -> Verdict:
    """The kernel has overlay, br_netfilter, nf_conntrack, and what networks and DNS need (vxlan, dummy).

    Fix: Install the distribution's own kernel with all of its modules, of the same version as the one that
    runs, and reboot. On RHEL 10 they are in `kernel-modules-extra`.
    """
    if not case.host.is_node:
        return passed("no pods run on this host")
    network = case.plan.config.network
    cache = _CACHE_MODULES if case.plan.config.dns.node_local_cache else []
    wanted = [*WANTED_MODULES, *_tunnel(network), *cache]
    missing = [name for name in wanted if name not in case.facts.modules]
    if not missing:
        return passed(", ".join(wanted))
    if missing == ["vxlan"] and network.plugin == "routed":
        return warning(
            "vxlan is missing: pods can reach only pods of nodes on the same network",
            "Install a kernel that has the vxlan module if nodes are on different networks.",
        )
    if missing == _CACHE_MODULES:
        return failed(
            "the kernel has no module dummy, which the DNS cache of nodes needs",
            "Install a kernel with this module, or set dns.nodeLocalCache to false in cluster.yaml.",
        )
    if set(missing) <= set(_tunnel(network)):
        return failed(
            f"the kernel has no module {missing[0]}, which {network.plugin} needs",
            f"Install a kernel with this module, or let {network.plugin} connect nodes without "
            f"it (network.{network.plugin} in cluster.yaml).",
        )
    return failed(
        f"the kernel lacks {', '.join(missing)}",
        f"Install the distribution's own kernel with its modules ({_kernel(case)}), all of "
        "the same version, and reboot.",
    )


def _tunnel(network: Network) -> list[str]:
    """The kernel module by which pods' packets get to other nodes, if it is one that is known."""
    if network.plugin == "flannel":
        return [network.flannel.backend] if network.flannel.backend != "host-gw" else []
    if network.plugin == "calico":
        return [network.calico.encapsulation] if network.calico.encapsulation != "none" else []
    if network.plugin == "cilium":
        return [network.cilium.routing] if network.cilium.routing != "native" else []
    return ["vxlan"] if network.plugin == "routed" else []


def swap(case: HostCase) -> Verdict:
    """Swap is off: a kubelet does not start with swap, unless cluster.yaml allows it.

    Fix: Run `swapoff -a` on the host. Remove the swap lines from `/etc/fstab`, so that it stays off.
    """
    settings = case.plan.config.kubernetes
    tolerated = (
        settings.extra_config.get("kubelet", {}).get("failSwapOn") is False
        or settings.extra_args.get("kubelet", {}).get("fail-swap-on") == "false"
    )
    if not case.facts.swaps:
        return passed("off")
    devices = ", ".join(case.facts.swaps)
    if tolerated or not case.host.is_node:
        return passed(f"on ({devices}), which is allowed here")
    return failed(
        f"swap is on: {devices}",
        "Run swapoff -a on the host and remove the swap lines from /etc/fstab (and "
        "systemd's swap units), so that it stays off.",
    )


def memory(case: HostCase) -> Verdict:
    """There is enough memory: 1 GiB on masters, 0.5 on workers, 0.25 on hosts that only run etcd.

    Fix: Give the host more memory.
    """
    return _enough("of memory", case.facts.memory, _MEMORY[_role(case)], "Give the host more memory.")


def disk(case: HostCase) -> Verdict:
    """There is enough space in /var/lib: 2 GiB free on nodes, 1 GiB on hosts that only run etcd.

    Fix: Free some space, or enlarge the disk. `du -xh --max-depth=2 /var/lib | sort -h | tail` shows what is
    large.
    """
    least, comfortable = _DISK["node" if case.host.is_node else "etcd"]
    limits = (_DISK_OF_INSTALLED if case.ours else least, comfortable)
    return _enough("free at /var/lib", case.facts.disk_free, limits, "Free some space, or enlarge the disk.")


def clock_skew(case: HostCase) -> Verdict:
    """The clock is within 5 seconds of this machine's, as far as the network allows to measure it.

    Fix: Install systemd-timesyncd or chrony on both machines. Check with `timedatectl`.
    """
    seen = case.seen[case.host.name]
    if seen.answered < seen.asked:
        return skipped("this machine's clock was changed during the check")
    ahead = clock_ahead(seen.asked, seen.answered, seen.facts.clock)
    if abs(ahead) <= SKEW_WARNS:
        return passed("in step")
    message = (
        f"the clock is at least {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    )
    fix = "Synchronize both clocks: install systemd-timesyncd or chrony, then check timedatectl."
    return failed(message, fix) if abs(ahead) > SKEW_FAILS else warning(message, fix)


def clock_ahead(asked: float, answered: float, clock: tuple[float, float]) -> float:
    """Seconds that a host's clock is ahead of this machine's at least; negative where it is behind.

    Args:
        asked: This machine's time before the question was sent.
        answered: This machine's time after the answer came.
        clock: The host's time when it began to answer, and when it had the answer.
    """
    # its clock read clock[0] some time after `asked`, and clock[1] some time before `answered`
    ahead, behind = clock[1] - answered, asked - clock[0]
    return max(ahead, 0.0) if ahead > behind else -max(behind, 0.0)


def _kernel(case: HostCase) -> str:
    platform = platform_of(case.facts.os_id, case.facts.os_version)
    return platform.kernel.format(arch=case.host.arch) if platform else "the packages that contain them"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _role(case: HostCase) -> str:
    return "master" if case.host.is_master else "worker" if case.host.is_node else "etcd"


def _enough(what: str, found: int, limits: tuple[float, float], fix: str) -> Verdict:
    least, comfortable = limits
    amount = found / GIB
    if amount < least:
        return failed(f"{amount:.1f} GiB {what}, {least:g} GiB needed", fix)
    if amount < comfortable:
        return warning(f"{amount:.1f} GiB {what}, {comfortable:g} GiB recommended", fix)
    return passed(f"{amount:.1f} GiB {what}")

import hashlib
import json

import pytest

from k8sbootstrap.artifacts.bundle.manifest import BundledFile, Manifest
from k8sbootstrap.artifacts.bundle.writer import write_bundle
from k8sbootstrap.checks.framework import Status

GIB = 1024**3
WORKER = [
    {"name": "w1", "address": "192.0.2.11", "roles": ["worker"]},
    {"name": "m1", "address": "192.0.2.12", "roles": ["master"]},
]
ETCD = [
    {"name": "e1", "address": "192.0.2.11", "roles": ["etcd"]},
    {"name": "m1", "address": "192.0.2.12", "roles": ["master"]},
]
ALL = [
    "os",
    "packages",
    "arch",
    "systemd",
    "cgroup",
    "kernel",
    "kernel-modules",
    "swap",
    "memory",
    "disk",
    "clock-skew",
    "hostname-unique",
    "machine-id-unique",
    "address-present",
    "address-unique",
    "cidr-overlap",
    "virtual-ip",
    "ports",
    "firewall",
    "name-servers",
    "settings",
    "leftovers",
]
SWAP = "Filename Type Size Used Priority\n/dev/sda2 partition 1048572 0 -2\n"


def listening(address, port, name="nginx", pid=9):
    return f'LISTEN 0      511    {address}:{port} 0.0.0.0:*    users:(("{name}",pid={pid},fd=6))\n'


def link(device, address):
    local, prefix = address.split("/")
    return {"ifname": device, "addr_info": [{"local": local, "prefixlen": int(prefix)}]}


def addresses(*links):
    return json.dumps([link("lo", "127.0.0.1/8"), link("eth0", "192.0.2.11/24"), *links])


@pytest.mark.parametrize("base", ["bare", "master"])
@pytest.mark.parametrize("check", ALL)
def test_a_good_host_passes(judge, check, base):
    """Before the cluster is there and with the cluster running."""
    verdict = judge(check, base=base)
    assert verdict.status is Status.PASSED, verdict
    assert verdict.message


@pytest.mark.parametrize(
    ("check", "changes", "says"),
    [
        (
            "os",
            {"os_release": 'ID=ubuntu\nVERSION_ID="23.10"\nPRETTY_NAME="Ubuntu 23.10"'},
            "Ubuntu 23.10 is not",
        ),
        ("os", {"os_release": 'ID=debian\nVERSION_ID="11"\nPRETTY_NAME="Debian 11"'}, "Debian 11 is not"),
        ("os", {"os_release": ""}, "unknown operating system"),
        ("arch", {"machine": "aarch64"}, "the processor is arm64, but the binaries are for amd64"),
        ("arch", {"machine": "riscv64"}, "riscv64"),
        ("systemd", {"systemd": False}, "not the first process"),
        ("kernel-modules", {"modules": ["vxlan"]}, "lacks overlay, br_netfilter, nf_conntrack"),
        ("swap", {"swaps": SWAP}, "/dev/sda2"),
        ("memory", {"meminfo": "MemTotal:  900000 kB\n"}, "0.9 GiB of memory, 1 GiB needed"),
        ("disk", {"disk_free": GIB}, "1.0 GiB free at /var/lib, 2 GiB needed"),
        ("machine-id-unique", {"machine_id": ""}, "no machine-id"),
        ("address-present", {"addresses": json.dumps([link("eth0", "192.0.2.99/24")])}, "192.0.2.11"),
        ("ports", {"sockets": listening("0.0.0.0", 6443)}, "6443 (for kube-apiserver) by nginx"),
        ("ports", {"sockets": listening("[::]", 10250)}, "10250 (for kubelet)"),
        ("ports", {"sockets": listening("192.0.2.11", 2380, "etcd")}, "2380 (for etcd) by etcd"),
        ("ports", {"sockets": listening("127.0.0.1", 10257)}, "10257 (for kube-controller-manager)"),
        ("ports", {"sockets": "LISTEN 0 128 0.0.0.0:2379 0.0.0.0:*\n"}, "2379 (for etcd) by an unknown"),
        ("cidr-overlap", {"addresses": addresses(link("eth1", "10.244.9.4/24"))}, "podCIDR 10.244.0.0/16"),
        ("cidr-overlap", {"addresses": addresses(link("eth1", "10.96.7.1/32"))}, "serviceCIDR 10.96.0.0/16"),
        ("cidr-overlap", {"addresses": addresses(link("eth1", "10.0.0.1/8"))}, "podCIDR"),
        (
            "cidr-overlap",
            {"routes": json.dumps([{"dst": "10.244.7.0/24", "dev": "tun0", "gateway": "192.0.2.1"}])},
            "the route to 10.244.7.0/24 by tun0 overlaps podCIDR",
        ),
        ("leftovers", {"leftovers": ["/etc/kubernetes/admin.conf"]}, "/etc/kubernetes/admin.conf"),
        ("leftovers", {"record": '{"cluster": "other"}'}, "belongs to the cluster other"),
    ],
)
def test_what_fails(judge, check, changes, says):
    verdict = judge(check, **changes)
    assert verdict.status is Status.FAILED
    assert says in verdict.message
    assert verdict.fix


@pytest.mark.parametrize(
    ("check", "changes"),
    [
        ("memory", {"meminfo": "MemTotal:  1500000 kB\n"}),
        ("disk", {"disk_free": 5 * GIB}),
        ("kernel-modules", {"modules": ["overlay", "br_netfilter", "nf_conntrack"]}),
        ("clock-skew", {"clock": [1002.5, 1002.6]}),
        (
            "cidr-overlap",
            {"routes": json.dumps([{"dst": "10.0.0.0/8", "dev": "tun0", "protocol": "static"}])},
        ),
    ],
)
def test_what_warns(judge, check, changes):
    verdict = judge(check, **changes)
    assert verdict.status is Status.WARNING
    assert verdict.message


@pytest.mark.parametrize(
    ("check", "gone"), [("ports", "sockets"), ("address-present", "addresses"), ("cidr-overlap", "routes")]
)
def test_what_cannot_be_seen_is_skipped(judge, check, gone):
    assert judge(check, **{gone: None}).status is Status.SKIPPED


KEEPALIVED = {
    "record": json.dumps(
        {
            "cluster": "demo",
            "components": {"api_virtual_ip": {"files": {"/etc/keepalived/keepalived.conf": {}}}},
        }
    )
}
THERE = {"addresses": addresses(link("eth0", "192.0.2.100/32"))}
SOMEBODY = {"answers_at": "02:00:00:00:00:07"}


@pytest.mark.parametrize(
    ("wanted", "changes", "status", "says"),
    [
        ("192.0.2.100", {}, Status.PASSED, "192.0.2.100 on eth0"),
        ("192.0.2.100", KEEPALIVED | THERE, Status.PASSED, "on eth0"),
        ("192.0.2.100", THERE, Status.FAILED, "is already an address of m1"),
        ("192.0.2.100", SOMEBODY, Status.FAILED, "02:00:00:00:00:07 already answers at 192.0.2.100"),
        ("192.0.2.100", KEEPALIVED | SOMEBODY, Status.FAILED, "already answers"),
        ("192.0.3.100", {}, Status.FAILED, "no address of the network 192.0.2.0/24"),
        ("192.0.2.255", {}, Status.FAILED, "no address of the network"),
        ("192.0.2.100", {"addresses": None}, Status.SKIPPED, "ip command"),
        ("192.0.2.100", {"addresses": json.dumps([])}, Status.SKIPPED, "192.0.2.11"),
    ],
)
def test_a_virtual_ip(judge, make_plan, wanted, changes, status, says):  # noqa: PLR0917
    verdict = judge("virtual-ip", plan=make_plan(api={"virtualIP": wanted}), **changes)
    assert verdict.status is status, verdict
    assert says in verdict.message
    assert bool(verdict.fix) is (status is Status.FAILED)


def test_a_virtual_ip_that_another_master_has_is_taken_by_nobody_else(judge, make_plan):
    hosts = [
        {"name": f"m{number}", "address": f"192.0.2.1{number}", "roles": ["master"]} for number in (1, 2, 3)
    ]
    plan = make_plan(hosts=hosts, api={"virtualIP": "192.0.2.100"})
    others = {"m2": KEEPALIVED | THERE, "m3": KEEPALIVED}
    assert judge("virtual-ip", plan=plan, others=others, **SOMEBODY).status is Status.PASSED
    others = {"m2": THERE, "m3": KEEPALIVED}
    assert "of m2" in judge("virtual-ip", plan=plan, others=others, **SOMEBODY).message
    # m2 did not answer: it may have the address
    assert judge("virtual-ip", plan=plan, others={"m3": KEEPALIVED}, **SOMEBODY).status is Status.PASSED


@pytest.mark.parametrize(
    ("clock", "status", "says"),
    [
        ([1000.0, 1001.0], Status.PASSED, "in step"),
        ([1001.9, 1002.0], Status.PASSED, "in step"),
        ([1007.4, 1007.5], Status.FAILED, "at least 6.5 s ahead"),
        ([993.5, 993.6], Status.FAILED, "at least 6.5 s behind"),
        ([997.0, 997.1], Status.WARNING, "at least 3.0 s behind"),
    ],
)
def test_clock_skew(judge, clock, status, says):
    """Asked at 1000, answered at 1001: what can be explained by the way there and back is no skew."""
    verdict = judge("clock-skew", clock=clock)
    assert verdict.status is status
    assert says in verdict.message


def test_a_slow_answer_is_no_skew(judge):
    assert judge("clock-skew", asked=1000.0, answered=1020.0, clock=[1017.0, 1017.1]).status is Status.PASSED


@pytest.mark.parametrize(
    ("version", "v2", "extra", "status"),
    [
        ("1.34.11", False, {}, Status.PASSED),
        ("1.36.4", True, {}, Status.PASSED),
        ("1.36.4", False, {}, Status.FAILED),
        ("1.36.4", False, {"failCgroupV1": False}, Status.WARNING),
    ],
)
def test_cgroup(judge, make_plan, *, version, v2, extra, status):
    plan = make_plan(version, kubernetes={"extraConfig": {"kubelet": extra}}, runtime={"name": "containerd"})
    verdict = judge("cgroup", plan=plan, cgroup_v2=v2)
    assert verdict.status is status
    assert bool(verdict.fix) is (status is not Status.PASSED)


@pytest.mark.parametrize(
    ("mode", "kernel", "status"),
    [
        ("iptables", "4.19.0-27-amd64", Status.PASSED),
        ("nftables", "5.13.0", Status.PASSED),
        ("nftables", "6.1.0-18-amd64", Status.PASSED),
        ("nftables", "5.10.0-33-amd64", Status.FAILED),
        ("nftables", "unknown", Status.FAILED),
    ],
)
def test_kernel(judge, make_plan, *, mode, kernel, status):
    plan = make_plan("1.36.4", network={"kubeProxyMode": mode}, runtime={"name": "containerd"})
    verdict = judge("kernel", plan=plan, kernel=kernel)
    assert verdict.status is status
    assert ("network.kubeProxyMode: iptables" in verdict.fix) is (status is Status.FAILED)


@pytest.mark.parametrize(
    ("settings", "kernel", "fix"),
    [
        ({}, "5.10.0-33-amd64", ""),
        ({}, "5.4.0-200-generic", "set another network.plugin"),
        ({"kubeProxyMode": "nftables"}, "5.10.0-33-amd64", "network.kubeProxyMode: iptables"),
        ({"kubeProxyMode": "nftables", "cilium": {"kubeProxyReplacement": True}}, "5.10.0-33-amd64", ""),
    ],
)
def test_kernel_for_cilium(judge, make_plan, settings, kernel, fix):
    plan = make_plan("1.36.4", network={"plugin": "cilium", **settings}, runtime={"name": "containerd"})
    verdict = judge("kernel", plan=plan, kernel=kernel)
    assert verdict.status is (Status.FAILED if fix else Status.PASSED)
    assert fix in verdict.fix


@pytest.mark.parametrize(
    "settings",
    [
        {"extraConfig": {"kubelet": {"failSwapOn": False}}},
        {"extraArgs": {"kubelet": {"fail-swap-on": "false"}}},
    ],
)
def test_swap_that_the_kubelet_tolerates(judge, make_plan, settings):
    assert judge("swap", plan=make_plan(kubernetes=settings), swaps=SWAP).status is Status.PASSED


@pytest.mark.parametrize("check", ["swap", "kernel", "kernel-modules", "cgroup"])
def test_etcd_alone_asks_for_less(judge, make_plan, check):
    plan = make_plan("1.36.4", ETCD, runtime={"name": "containerd"})
    assert judge(check, plan=plan, swaps=SWAP, modules=[], cgroup_v2=False).status is Status.PASSED


@pytest.mark.parametrize(
    ("address", "port", "status"),
    [
        ("127.0.0.1", 6443, Status.FAILED),
        ("*", 6443, Status.FAILED),
        ("192.0.2.11", 6443, Status.PASSED),
        ("0.0.0.0", 2379, Status.PASSED),
        ("0.0.0.0", 10256, Status.FAILED),
    ],
)
def test_ports_of_a_worker(judge, make_plan, address, port, status):
    plan = make_plan(hosts=WORKER)
    assert judge("ports", plan=plan, sockets=listening(address, port)).status is status


def test_a_worker_needs_no_api_port_when_there_is_an_endpoint(judge, make_plan):
    plan = make_plan(hosts=WORKER, api={"endpoint": "lb.example.com"})
    assert judge("ports", plan=plan, sockets=listening("*", 6443)).status is Status.PASSED


def test_ports_of_a_master_with_another_api_port(judge, make_plan):
    plan = make_plan(api={"port": 8443})
    assert judge("ports", plan=plan, sockets=listening("*", 6443)).status is Status.PASSED
    assert judge("ports", plan=plan, sockets=listening("*", 8443)).status is Status.FAILED


def test_ports_held_by_a_cluster_that_is_not_recorded(judge):
    assert judge("ports", base="master", record="").status is Status.FAILED


def test_on_a_worker_that_becomes_a_master_the_load_balancer_makes_way(judge):
    sockets, cgroups = (
        listening("127.0.0.1", 6443, "haproxy", 7),
        {"7": "0::/system.slice/haproxy.service\n"},
    )
    assert judge("ports", base="master", sockets=sockets, cgroups=cgroups).status is Status.PASSED
    bare = judge("ports", base="master", sockets=sockets, cgroups=cgroups, record="")
    assert "6443 (for kube-apiserver) by haproxy" in bare.message


def test_a_port_held_by_another_of_our_units(judge):
    sockets = listening("0.0.0.0", 2379, "kubelet", 7)
    verdict = judge(
        "ports", base="master", sockets=sockets, cgroups={"7": "0::/system.slice/kubelet.service\n"}
    )
    assert verdict.status is Status.FAILED
    assert "by kubelet of kubelet.service" in verdict.message


@pytest.mark.parametrize(
    ("check", "same", "says"),
    [
        (
            "hostname-unique",
            {"hostname": "m1", "machine_id": "b"},
            "the host name m1 is also used by m2 and m3",
        ),
        ("machine-id-unique", {"hostname": "m2"}, "is also used by m2 and m3"),
    ],
)
def test_hosts_that_share_what_must_be_unique(judge, check, same, says):
    verdict = judge(check, others={"m2": same, "m3": same})
    assert verdict.status is Status.FAILED
    assert says in verdict.message


@pytest.mark.parametrize("check", ["hostname-unique", "machine-id-unique", "address-unique"])
def test_hosts_that_differ(judge, check):
    other = {"hostname": "m2", "machine_id": "b", "addresses": json.dumps([link("eth0", "192.0.2.12/24")])}
    assert judge(check, others={"m2": other}).status is Status.PASSED


def test_an_address_of_two_hosts(judge):
    other = {"addresses": json.dumps([link("eth0", "192.0.2.12/24"), link("eth1", "192.0.2.11/32")])}
    verdict = judge("address-unique", others={"m2": other})
    assert verdict.status is Status.FAILED
    assert "192.0.2.11 is also on an interface of m2" in verdict.message


@pytest.mark.parametrize(("plugin", "good"), [("flannel", True), ("none", True), ("routed", False)])
def test_pods_of_a_pod_network_write_cni_configuration(judge, make_plan, plugin, good):
    plan = make_plan(network={"plugin": plugin})
    own = {"record": '{"cluster": "demo"}', "leftovers": ["/etc/cni/net.d/10-flannel.conflist"]}
    assert (judge("leftovers", plan=plan, **own).status is Status.PASSED) is good
    assert judge("leftovers", plan=plan, leftovers=own["leftovers"]).status is Status.FAILED


PODMAN = "/etc/cni/net.d/87-podman-bridge.conflist"
CRI_O = "/etc/cni/net.d/01-crio-bridge.conflist"


@pytest.mark.parametrize(
    ("plugin", "there", "status", "says"),
    [
        ("routed", [PODMAN], Status.WARNING, f"{PODMAN} (of podman) is kept: container runtimes use 10-k8s"),
        ("none", [PODMAN], Status.WARNING, f"{PODMAN} (of podman) is kept"),
        (
            "none",
            ["/etc/cni/net.d/10-weave.conf"],
            Status.FAILED,
            "files of another cluster: /etc/cni/net",
        ),
        ("routed", [PODMAN, "/etc/cni/net.d/10-calico.conflist"], Status.FAILED, "net.d/10-calico.conflist"),
        ("routed", [PODMAN, "/etc/cni/net.d/calico-kubeconfig"], Status.FAILED, "net.d/calico-kubeconfig"),
        (
            "routed",
            [PODMAN, "/var/lib/etcd/member"],
            Status.FAILED,
            "of another cluster: /var/lib/etcd/member",
        ),
        ("routed", ["/etc/cni/net.d/nerdctl-a.conflist"], Status.WARNING, "of nerdctl"),
        ("calico", ["/etc/cni/net.d/10-calico.conflist"], Status.FAILED, "of another cluster"),
        (
            "routed",
            [CRI_O],
            Status.FAILED,
            "would use /etc/cni/net.d/01-crio-bridge.conflist (of CRI-O) for",
        ),
    ],
)
def test_cni_configuration_of_others(judge, make_plan, plugin, there, status, says):  # noqa: PLR0917
    verdict = judge("leftovers", plan=make_plan(network={"plugin": plugin}), leftovers=there)
    assert verdict.status is status
    assert says in verdict.message


def test_leftovers_of_this_cluster_that_were_not_recorded(judge):
    """A run that was killed must not stand in the way of the next one."""
    verdict = judge("leftovers", record='{"cluster": "demo"}', leftovers=["/etc/kubernetes/admin.conf"])
    assert verdict.status is Status.WARNING


def test_a_disk_that_is_nearly_full_with_the_cluster_on_it(judge):
    assert judge("disk", base="master", disk_free=GIB).status is Status.WARNING
    assert judge("disk", base="master", disk_free=GIB // 10).status is Status.FAILED


def test_another_architecture_is_mended_in_cluster_yaml(make_plan, judge):
    verdict = judge("arch", machine="aarch64")
    assert verdict.fix == "Write arch: arm64 at this host in cluster.yaml."
    assert judge("arch", machine="riscv64").fix == "Use hosts of amd64 or arm64."
    host = {"name": "m1", "address": "192.0.2.11", "roles": ["master"], "arch": "arm64"}
    arm = make_plan(hosts=[host])
    assert judge("arch", plan=arm, machine="aarch64").status is Status.PASSED
    assert judge("arch", plan=arm, machine="x86_64").fix == "Write arch: amd64 at this host in cluster.yaml."


def test_firewalld_is_opened_by_up(judge):
    assert judge("firewall", firewalld=True).message.startswith("firewalld is active; ")


UFW = """Status: active

To                         Action      From
--                         ------      ----
22/tcp                     ALLOW       Anywhere
"""


def test_ufw_is_not_opened_but_told_how(judge, make_plan):
    plan = make_plan(hosts=WORKER)
    verdict = judge("firewall", plan=plan, ufw=UFW)
    assert verdict.status is Status.WARNING
    assert "no rules for 192.0.2.12, 10.244.0.0/16" in verdict.message
    assert verdict.fix == (
        "Run on the host: ufw allow from 192.0.2.12; ufw allow from 10.244.0.0/16; "
        "ufw route allow from 10.244.0.0/16; ufw route allow to 10.244.0.0/16."
    )
    rules = "Anywhere  ALLOW  192.0.2.12\nAnywhere  ALLOW  10.244.0.0/16\n"
    assert judge("firewall", plan=plan, ufw=UFW + rules).status is Status.PASSED
    assert judge("firewall", plan=plan, ufw="Status: inactive\n").status is Status.PASSED


def test_upstreams_containerd_needs_no_package_of_a_runtime(judge, make_plan):
    rocky = 'ID=rocky\nVERSION_ID="9.5"\nPRETTY_NAME="Rocky Linux 9.5"'
    runtime = {"name": "containerd"}
    said = judge("packages", plan=make_plan("1.36.4", runtime=runtime), os_release=rocky)
    assert said.fix == "Set runtime.source: upstream in cluster.yaml."
    runtime["source"] = "upstream"
    assert (
        judge("packages", plan=make_plan("1.36.4", runtime=runtime), os_release=rocky).status is Status.PASSED
    )


def test_ufw_on_a_master_has_to_let_clients_in(judge, make_plan):
    assert "ufw allow 6443/tcp" in judge("firewall", ufw=UFW).fix
    etcd = judge("firewall", plan=make_plan(hosts=ETCD), ufw=UFW)
    assert etcd.fix == "Run on the host: ufw allow from 192.0.2.12."


@pytest.mark.parametrize(
    ("os_release", "runtime", "status"),
    [
        ('ID=ubuntu\nVERSION_ID="22.04"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"', "docker", Status.PASSED),
        ('ID=rocky\nVERSION_ID="9.5"\nPRETTY_NAME="Rocky Linux 9.5"', "docker", Status.FAILED),
        ('ID=rhel\nVERSION_ID="10.0"\nPRETTY_NAME="RHEL 10.0"', "containerd", Status.FAILED),
        ("ID=arch", "docker", Status.SKIPPED),
    ],
)
def test_packages(judge, make_plan, os_release, runtime, status):
    plan = make_plan(runtime={"name": runtime})
    verdict = judge("packages", plan=plan, os_release=os_release)
    assert verdict.status is status
    assert status is not Status.FAILED or f"has no package for {runtime}" in verdict.message
    assert (
        judge("packages", plan=make_plan(hosts=ETCD), os_release='ID=rhel\nVERSION_ID="9"').status
        is Status.PASSED
    )


SIMULATED = """\
The following packages will be REMOVED:
  containerd.io docker-ce
Remv docker-ce [5:28.1.1-1]
Remv containerd.io [1.7.27-1] [docker.io:amd64 ]
Inst runc (1.1.5+ds1-1+deb12u1 Debian:12.15/oldstable [amd64])
"""


@pytest.mark.parametrize(
    ("runtime", "way_out"),
    [
        ({"name": "docker"}, "runtime.name: containerd and runtime.source: upstream, which needs no package"),
        (
            {"name": "containerd"},
            "container runtime, set runtime.source: upstream, which needs no package",
        ),
        ({"name": "containerd", "source": "upstream"}, "or remove them first."),
    ],
)
def test_packages_that_would_have_to_go_are_named(judge, make_plan, runtime, way_out):
    verdict = judge("packages", plan=make_plan(runtime=runtime), installation=SIMULATED)
    assert verdict.status is Status.FAILED
    assert "apt would have to remove containerd.io, docker-ce" in verdict.message
    assert way_out in verdict.fix


@pytest.mark.parametrize(
    ("os_release", "names"),
    [
        ("ID=debian\nVERSION_ID=12", "linux-image-amd64"),
        ("ID=centos\nVERSION_ID=10", "kernel-modules-extra"),
        ("ID=arch", "the packages that contain them"),
    ],
)
def test_where_kernel_modules_come_from(judge, os_release, names):
    assert names in judge("kernel-modules", modules=["overlay"], os_release=os_release).fix


@pytest.mark.parametrize(
    ("version", "runtime", "seen", "status", "says"),
    [
        ("1.36.4", {"name": "containerd"}, {}, Status.PASSED, "containerd 1.6.20"),
        ("1.36.4", {"name": "docker"}, {"base": "master"}, Status.PASSED, "docker 20.10.24"),
        (
            "1.36.4",
            {"name": "containerd"},
            {"runtimes": {"containerd": "containerd github.com/containerd/containerd 1.5.8 1e5ef94"}},
            Status.FAILED,
            "needs containerd 1.6 or later, not 1.5.8",
        ),
        (
            "1.36.4",
            {"name": "docker"},
            {"runtimes": {"docker": "Docker version 19.03.15, build 99e3ed8"}},
            Status.FAILED,
            "needs docker 20.10 or later, not 19.03.15",
        ),
        ("1.34.11", {"name": "containerd"}, {"packages": None}, Status.SKIPPED, "not known"),
        (
            "1.36.4",
            {"name": "containerd", "source": "upstream"},
            {"packages": None},
            Status.PASSED,
            "upstream's",
        ),
    ],
)
def test_runtime(judge, make_plan, version, runtime, seen, status, says):  # noqa: PLR0917 - fixtures and a case
    verdict = judge("runtime", plan=make_plan(version, runtime=runtime), **seen)
    assert verdict.status is status
    assert says in verdict.message


@pytest.mark.parametrize(
    ("cri_dockerd", "docker", "status"),
    [
        ("0.4.0", "20.10.24+dfsg1", Status.FAILED),
        ("0.4.1", "20.10.24+dfsg1", Status.FAILED),
        ("0.4.0", "26.1.5+dfsg1", Status.PASSED),
        ("0.3.26", "20.10.24+dfsg1", Status.PASSED),
    ],
)
def test_docker_is_new_enough_for_cri_dockerd(judge, make_plan, cri_dockerd, docker, status):
    plan = make_plan(runtime={"name": "docker"}, releases={"1.34.11": {"criDockerd": cri_dockerd}})
    verdict = judge("runtime", plan=plan, runtimes={"docker": f"Docker version {docker}, build 1"})
    assert verdict.status is status
    if status is Status.FAILED:
        says = f"cri-dockerd {cri_dockerd} needs docker 23.0 or later, not 20.10.24"
        assert verdict.message.startswith(says)


def test_a_runtime_that_is_installed_counts_not_the_one_that_could_be(judge, make_plan):
    installed = {"containerd": "containerd github.com/containerd/containerd/v2 v2.3.4 abc"}
    verdict = judge("runtime", plan=make_plan("1.36.4", runtime={"name": "containerd"}), runtimes=installed)
    assert verdict.message == "containerd 2.3.4"


@pytest.mark.parametrize(("version", "status"), [("12", Status.FAILED), ("13", Status.PASSED)])
def test_packages_of_a_bundle(judge, make_plan, tmp_path, version, status):
    index = b"an index"
    files = {"packages/debian13/amd64/Packages": BundledFile(len(index), hashlib.sha256(index).hexdigest())}
    manifest = Manifest("demo", "1.34.11", ("amd64",), {}, (), {"debian13/amd64": ("socat",)}, files)
    write_bundle(tmp_path / "b.tar", manifest, {"packages/debian13/amd64/Packages": index}, lambda _: None)
    plan = make_plan(artifacts={"bundle": "b.tar"})
    release = f'ID=debian\nVERSION_ID="{version}"'
    verdict = judge("packages", plan=plan, os_release=release)
    assert verdict.status is status
    if status is Status.FAILED:
        assert "has packages for debian13/amd64, but this host is debian12/amd64" in verdict.message
    assert judge("packages", plan=plan, base="master", os_release=release).status is Status.PASSED


@pytest.mark.parametrize(("plugin", "good"), [("flannel", True), ("none", True), ("routed", False)])
def test_a_pod_network_in_the_cluster_makes_addresses_and_routes_of_its_own(judge, make_plan, plugin, good):
    seen = {
        "addresses": addresses(link("flannel.1", "10.244.9.0/32")),
        "routes": json.dumps([{"dst": "10.244.7.0/24", "dev": "eth0", "gateway": "192.0.2.12"}]),
    }
    plan = make_plan(network={"plugin": plugin})
    assert (judge("cidr-overlap", plan=plan, base="master", **seen).status is Status.PASSED) is good
    assert judge("cidr-overlap", plan=plan, **seen).status is Status.FAILED


@pytest.mark.parametrize(
    ("network", "module"),
    [
        ({"plugin": "flannel"}, "vxlan"),
        ({"plugin": "flannel", "flannel": {"backend": "wireguard"}}, "wireguard"),
        ({"plugin": "flannel", "flannel": {"backend": "host-gw"}}, None),
        ({"plugin": "calico"}, "ipip"),
        ({"plugin": "calico", "calico": {"encapsulation": "vxlan"}}, "vxlan"),
        ({"plugin": "calico", "calico": {"encapsulation": "none"}}, None),
        ({"plugin": "cilium"}, "vxlan"),
        ({"plugin": "cilium", "cilium": {"routing": "geneve"}}, "geneve"),
        ({"plugin": "cilium", "cilium": {"routing": "native"}}, None),
        ({"plugin": "none"}, None),
    ],
)
def test_what_the_pod_network_needs_of_the_kernel(judge, make_plan, network, module):
    there = ["overlay", "br_netfilter", "nf_conntrack"]
    plan = make_plan(network=network)
    verdict = judge("kernel-modules", plan=plan, modules=there)
    if module:
        assert verdict.status is Status.FAILED
        assert verdict.message == f"the kernel has no module {module}, which {network['plugin']} needs"
        verdict = judge("kernel-modules", plan=plan, modules=[*there, module])
    assert verdict.status is Status.PASSED


WORKER_FIRST = {"hosts": WORKER}


def owned(path, text="theirs", *, stock=False):
    return {"settings": {path: {"text": text, "stock": stock}}}


def engine(*lines, info=None, containers=()):
    said = {"info": json.dumps(info or {}), "containers": json.dumps(list(containers))}
    return {"docker": {"command_lines": list(lines), **said}}


@pytest.mark.parametrize(
    ("config", "seen", "status", "says"),
    [
        ({}, owned("/etc/docker/daemon.json", '{"data-root": "/srv"}'), Status.WARNING, "daemon.json"),
        ({}, owned("/etc/docker/daemon.json", '{"bridge": "br0"}'), Status.FAILED, 'sets bridge to "br0"'),
        ({}, owned("/etc/docker/daemon.json", "[]"), Status.FAILED, "is not a JSON object"),
        (
            {"runtime": {"docker": {"dataRoot": "/big"}}},
            owned("/etc/docker/daemon.json", '{"data-root": "/srv"}'),
            Status.FAILED,
            "sets data-root to /srv, but runtime.docker.dataRoot is /big",
        ),
        ({}, engine('DOCKER_OPTS="--log-driver=journald"'), Status.FAILED, "command line has --log-driver"),
        ({}, engine(info={"Swarm": {"LocalNodeState": "active"}}), Status.FAILED, "in a swarm"),
        ({}, engine(info=["Swarm"], containers=[1, {"Names": 2}]), Status.FAILED, "ports: ?."),
        ({}, engine(containers=[{"Names": ["/web"]}]), Status.FAILED, "lose their network and ports: web"),
        (
            {"runtime": {"name": "containerd"}},
            engine(containers=[{"Names": ["/web"]}]),
            Status.PASSED,
            "none",
        ),
        (
            {"runtime": {"name": "containerd"}},
            owned("/etc/containerd/config.toml", "version = 2\nroot = '/srv'\n"),
            Status.WARNING,
            "config.toml",
        ),
        (
            {"runtime": {"name": "containerd"}},
            owned("/etc/containerd/config.toml", 'version = 2\ndisabled_plugins = ["cri"]\n'),
            Status.FAILED,
            "turns off the plugin cri",
        ),
        (
            {"runtime": {"name": "containerd"}},
            owned("/etc/containerd/config.toml", 'disabled_plugins = ["cri"]\n', stock=True),
            Status.PASSED,
            "none",
        ),
        (
            WORKER_FIRST,
            owned("/etc/haproxy/haproxy.cfg"),
            Status.FAILED,
            "haproxy already has its own",
        ),
        (WORKER_FIRST, owned("/etc/haproxy/haproxy.cfg", stock=True), Status.PASSED, "none"),
        ({}, owned("/etc/haproxy/haproxy.cfg"), Status.PASSED, "none"),
        (
            {"registry": {"host": "m1"}},
            owned("/etc/docker/registry/config.yml"),
            Status.FAILED,
            "docker-registry already has its own configuration",
        ),
        ({}, owned("/etc/docker/registry/config.yml"), Status.PASSED, "none"),
        (
            {"api": {"virtualIP": "192.0.2.100"}},
            owned("/etc/keepalived/keepalived.conf"),
            Status.FAILED,
            "keepalived already has its own configuration",
        ),
        ({}, owned("/etc/keepalived/keepalived.conf"), Status.PASSED, "none"),
    ],
)
def test_settings_of_the_hosts_owner(judge, make_plan, config, seen, status, says):  # noqa: PLR0917
    verdict = judge("settings", plan=make_plan(**config), **seen)
    assert verdict.status is status, verdict
    assert says in verdict.message
    ours = judge("settings", plan=make_plan(**config), record='{"cluster": "demo"}', **seen)
    assert ours.status is Status.PASSED

"""Each rule from what hosts and the API say when that very thing is wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from k8sbootstrap.checks.doctor import RULES
from k8sbootstrap.hosts.answers import HttpAnswer, RunAnswer
from k8sbootstrap.pki import x509
from k8sbootstrap.pki.table import SERVER, Subject
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.cluster.requests import API, ENDPOINT_HEALTH, ENDPOINT_STATUS, SNAPSHOTS
from k8sbootstrap.survey.doctor.look import ClusterLook
from k8sbootstrap.survey.doctor.requests import (
    DEPLOYMENTS,
    DISKS,
    EVENTS,
    FORWARDS,
    MISSING,
    NODES,
    PODS,
    RESTORING,
    ROUTES,
    SERVICE,
    SOCKETS,
    SWAPS,
    UPLOADED,
    peer_key,
)
from k8sbootstrap.survey.doctor.requests import (
    RULES as PACKET_RULES,
)

from . import sound as s

Break = Callable[[ClusterLook], ClusterLook]
REFUSED = HttpAnswer(0, "", "[Errno 111] Connection refused", 0.01)
TIMED_OUT = HttpAnswer(0, "", "timed out", 3.0)
DEAD = RunAnswer(1, "[]", '{"level":"warn"}\nError: context deadline exceeded')
KUBELET_USAGE = "      --v Level   number for the log level verbosity"


def clock(look: ClusterLook) -> ClusterLook:
    old = look.hosts["w1"]
    ahead = replace(old.answer, clock=(s.NOW + 3600.1, s.NOW + 3600.9))
    return replace(look, hosts={**look.hosts, "w1": replace(old, answer=ahead)})


def full(look: ClusterLook) -> ClusterLook:
    df = f"{s.DF_HEAD}/ /dev/vda1 100 50 10 5\n/var/lib/etcd /dev/vdb1 {20 * s.GIB} 4096 2621440 2000000\n"
    look = s.with_host(look, "m2", {DISKS: RunAnswer(1, df, "df: /var/lib/kubelet: No such file")})
    panic = '{"level":"panic","msg":"failed to save","error":"write: no space left on device"}'
    return etcd_down(
        look, "m2", s.unit("etcd", "activating", "auto-restart", "exit-code", status=2, restarts=9), panic
    )


def no_more_files(look: ClusterLook) -> ClusterLook:
    df = f"{s.DF_HEAD}/var/log /dev/vdb1 {20 * s.GIB} {10 * s.GIB} 1000 3\n"
    return s.with_host(look, "w1", {DISKS: df})


def etcd_down(look: ClusterLook, host: str, unit: str, line: str = "") -> ClusterLook:
    look = s.with_unit(look, host, unit, s.journal("etcd", line) if line else "")
    look = s.with_host(
        look,
        host,
        {ENDPOINT_STATUS: DEAD, ENDPOINT_HEALTH: DEAD},
        {"etcd": REFUSED, "kube-apiserver": REFUSED},
    )
    return s.with_host(look, host, http={API: HttpAnswer(500, "[-]etcd failed", "", 0.1)})


def swap(look: ClusterLook) -> ClusterLook:
    return s.with_host(look, "w1", {SWAPS: f"{s.SWAP_HEAD}/dev/vda2 partition 100 0 -2\n"})


def swap_and_no_kubelet(look: ClusterLook) -> ClusterLook:
    line = 'E1129 19:00:00 1 run.go:72] "command failed" err="running with swap on is not supported"'
    down = s.unit("kubelet", "activating", "auto-restart", "exit-code", status=1, restarts=30)
    look = s.with_unit(swap(look), "w1", down, s.journal("kubelet", line))
    return s.with_host(look, "w1", http={"kubelet": REFUSED})


def blocked(look: ClusterLook) -> ClusterLook:
    look = s.with_host(look, "m3", {PACKET_RULES: "-A INPUT ! -i lo -p tcp -m tcp --dport 2379 -j DROP\n"})
    for other in ("m1", "m2"):
        look = s.with_host(look, other, http={peer_key("m3", 2379): TIMED_OUT})
    return look


def expired(look: ClusterLook) -> ClusterLook:
    certificate = x509.issue(
        Subject("kube-apiserver", "", SERVER, frozenset({"192.0.2.11"})), s.CA
    ).certificate_pem.decode()
    late = x509_end(certificate) + 86400
    old = look.hosts
    hosts = {name: replace(seen, asked=late, answered=late + 1) for name, seen in old.items()}
    hosts = {
        name: replace(
            seen,
            answer=replace(
                seen.answer,
                clock=(late, late + 1),
                certificates={"/etc/kubernetes/pki/apiserver.crt": certificate} if name == "m1" else {},
            ),
        )
        for name, seen in hosts.items()
    }
    sick = HttpAnswer(0, "", "certificate has expired (_ssl.c:1006)", 0.01)
    look = replace(look, hosts=hosts)
    return s.with_host(look, "m1", http={"kube-apiserver": sick, API: sick})


def x509_end(pem: str) -> float:
    from cryptography import x509 as library  # noqa: PLC0415

    return library.load_pem_x509_certificate(pem.encode()).not_valid_after_utc.timestamp()


def soon(look: ClusterLook) -> ClusterLook:
    path = "/var/lib/kubelet/pki/kubelet-serving.crt"
    pem = look.hosts["w1"].answer.certificates[path]
    at = x509_end(pem) - 10 * 86400
    hosts = {
        name: replace(
            seen,
            asked=at,
            answered=at + 1,
            answer=replace(seen.answer, clock=(at, at + 1), certificates={path: pem} if name == "w1" else {}),
        )
        for name, seen in look.hosts.items()
    }
    return replace(look, hosts=hosts)


def of_another_ca(look: ClusterLook) -> ClusterLook:
    other = x509.Pair(x509.make_authority("kubernetes", s.KEY), x509.new_key())
    foreign = x509.issue(Subject("system:node", "", SERVER, frozenset({"192.0.2.21"})), other)
    path = "/var/lib/kubelet/pki/kubelet-serving.crt"
    return s.with_host(look, "w1", certificates={path: foreign.certificate_pem.decode()})


def for_another_address(look: ClusterLook) -> ClusterLook:
    path = "/etc/etcd/pki/server.crt"
    return s.with_host(look, "m1", certificates={path: s.leaf("m1", SERVER, "192.0.2.99", etcd=True)})


def port_taken(look: ClusterLook) -> ClusterLook:
    sockets = look.hosts["m1"].answer.run[SOCKETS].stdout
    sockets = sockets.replace('*:6443 *:* users:(("kube-apiserver"', '*:6443 *:* users:(("python3"')
    assert "python3" in sockets
    line = "E1129 run.go:72] failed to listen on 0.0.0.0:6443: bind: address already in use"
    look = s.with_unit(
        s.with_host(look, "m1", {SOCKETS: sockets}, {"kube-apiserver": REFUSED, API: REFUSED}),
        "m1",
        s.unit("kube-apiserver", "activating", "auto-restart", "exit-code", status=1, restarts=4),
        s.journal("kube-apiserver", line),
    )
    return s.with_host(look, "m1", http={"kube-scheduler": HttpAnswer(500, "no", "", 0)})


def wrong_flag(look: ClusterLook) -> ClusterLook:
    lines = s.journal("kubelet", "E1129 run.go:72] failed to parse kubelet flag: unknown flag: --nonsense")
    lines += s.journal("kubelet", "kubelet.service: Failed with result 'exit-code'.", program="systemd")
    lines += s.journal("kubelet", "Started kubelet.service - Kubernetes node agent.", program="systemd")
    lines += s.journal("kubelet", KUBELET_USAGE)
    down = s.unit("kubelet", "activating", "auto-restart", "exit-code", status=1, restarts=5)
    return s.with_host(s.with_unit(look, "w2", down, lines), "w2", http={"kubelet": REFUSED})


def data_lost(look: ClusterLook) -> ClusterLook:
    line = "etcd does not start: its data belongs in /var/lib/etcd/member/wal, and nothing is there."
    return etcd_down(look, "m1", s.unit("etcd", "failed", "failed", "exit-code", status=78), line)


def no_space(look: ClusterLook) -> ClusterLook:
    for host in ("m1", "m2", "m3"):
        said = look.hosts[host].answer.run[ENDPOINT_STATUS].stdout
        member = "11417610130673999598"
        alarmed = said.replace('"raftTerm"', f'"errors":["memberID:{member} alarm:NOSPACE "],"raftTerm"')
        assert alarmed != said
        look = s.with_host(look, host, {ENDPOINT_STATUS: alarmed, ENDPOINT_HEALTH: DEAD})
    return look


def corrupt(look: ClusterLook) -> ClusterLook:
    said = look.hosts["m1"].answer.run[ENDPOINT_STATUS].stdout
    return s.with_host(
        look,
        "m1",
        {ENDPOINT_STATUS: said.replace('"raftTerm"', '"errors":["memberID:1 alarm:CORRUPT "],"raftTerm"')},
    )


def member_stopped(look: ClusterLook) -> ClusterLook:
    return etcd_down(look, "m3", s.unit("etcd", "inactive", "dead"))


def member_cut_off(look: ClusterLook) -> ClusterLook:
    return s.with_host(look, "m3", {ENDPOINT_HEALTH: DEAD})


def quorum_lost(look: ClusterLook) -> ClusterLook:
    for host in ("m2", "m3"):
        look = etcd_down(look, host, s.unit("etcd", "inactive", "dead"))
    alone = look.hosts["m1"].answer.run[ENDPOINT_STATUS].stdout.replace('"leader":', '"was":')
    sick = HttpAnswer(500, "[+]ping ok\n[-]etcd failed: reason withheld", "", 0.1)
    look = s.with_host(
        look, "m1", {ENDPOINT_STATUS: alone, ENDPOINT_HEALTH: DEAD}, {"kube-apiserver": sick, API: sick}
    )
    for worker in ("w1", "w2"):
        look = s.with_host(look, worker, http={API: sick, SERVICE: REFUSED})
    return replace(look, api={}, api_error="no API server answered (m1: timed out)")


def api_server_stopped(look: ClusterLook) -> ClusterLook:
    look = s.with_unit(look, "m2", s.unit("kube-apiserver", "inactive", "dead"))
    return s.with_host(look, "m2", http={"kube-apiserver": REFUSED, API: REFUSED})


def no_master_answers(look: ClusterLook) -> ClusterLook:
    return replace(look, api={}, api_error="no API server answered")


def stopped(host: str, *names: str) -> Break:
    def change(look: ClusterLook) -> ClusterLook:
        for name in names:
            look = s.with_unit(look, host, s.unit(name, "inactive", "dead"))
            if name in look.hosts[host].answer.http:
                look = s.with_host(look, host, http={name: REFUSED})
        return look

    return change


def with_node(name: str, **status: object) -> Break:
    def change(look: ClusterLook) -> ClusterLook:
        found = s.objects(look, NODES)
        for each in found:
            if each["metadata"]["name"] == name:
                each["status"]["conditions"] = [
                    {
                        "lastTransitionTime": s.iso(s.NOW - 300),
                        "reason": "why",
                        "message": "because",
                        **condition,
                    }
                    for condition in status["conditions"]
                ]
        return s.with_objects(look, NODES, found)

    return change


def node_deleted(look: ClusterLook) -> ClusterLook:
    return s.with_objects(look, NODES, s.objects(look, NODES)[:-1])


def cordoned(look: ClusterLook) -> ClusterLook:
    found = s.objects(look, NODES)
    taint = {
        "key": "node.kubernetes.io/unschedulable",
        "effect": "NoSchedule",
        "timeAdded": s.iso(s.NOW - 86400),
    }
    found[-1]["spec"] |= {"unschedulable": True, "taints": [taint]}
    return s.with_objects(look, NODES, found)


def cordoned_by(reason: str) -> Break:
    def change(look: ClusterLook) -> ClusterLook:
        found = s.objects(cordoned(look), NODES)
        found[-1]["metadata"]["annotations"] = {"k8sbootstrap.io/cordoned": reason, "other": "secret"}
        return s.with_objects(look, NODES, found)

    return change


def node_of_another_time(look: ClusterLook) -> ClusterLook:
    found = s.objects(look, NODES)
    old = {**found[-1], "metadata": {"name": "w9"}, "spec": {}}
    old["status"] = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
    return s.with_objects(look, NODES, [*found, old])


def host_stopped(host: str) -> Break:
    def change(look: ClusterLook) -> ClusterLook:
        names = look.hosts[host].answer.run
        units = [key.removeprefix("journal of ") for key in names if key.startswith("journal of ")]
        look = stopped(host, *units)(look)
        return s.with_host(look, host, http={API: REFUSED, SERVICE: REFUSED})

    return change


def restoring(look: ClusterLook) -> ClusterLook:
    for host in ("m1", "m2", "m3"):
        look = s.with_host(look, host, {RESTORING: "restore-20261129T192434Z\n"})
        look = etcd_down(look, host, s.unit("etcd", "inactive", "dead"))
    return replace(look, api={}, api_error="no API server answered")


def big(used: float) -> Break:
    def change(look: ClusterLook) -> ClusterLook:
        said = look.hosts["m1"].answer.run[ENDPOINT_STATUS].stdout
        sizes = f'"dbSizeQuota":1000,"dbSize":900,"dbSizeInUse":{int(900 * used)},"was'
        return s.with_host(look, "m1", {ENDPOINT_STATUS: said.replace('"dbSize', sizes)})

    return change


def no_timer(look: ClusterLook) -> ClusterLook:
    return s.with_unit(look, "m1", s.unit("etcd-snapshot.timer", "inactive", "dead"))


def no_renewal(look: ClusterLook) -> ClusterLook:
    return s.with_unit(look, "m2", s.unit("k8sbootstrap-certificates.timer", "inactive", "dead"))


def renewal_failed(look: ClusterLook) -> ClusterLook:
    name = "k8sbootstrap-certificates"
    return s.with_unit(look, "m2", s.unit(name, "failed", "failed", "exit-code", status=1))


def no_new_snapshot(look: ClusterLook) -> ClusterLook:
    for host in ("m1", "m2", "m3"):
        look = s.with_host(look, host, {SNAPSHOTS: s.snapshot(2 * 86400)})
    return s.with_unit(look, "m1", s.unit("etcd-snapshot", "failed", "failed", "exit-code", status=1))


def upload_failed(look: ClusterLook) -> ClusterLook:
    return s.with_host(look, "m2", {UPLOADED: s.upload(600, "https://store: AccessDenied: no\x1b[2J")})


def no_new_upload(look: ClusterLook) -> ClusterLook:
    for host in ("m1", "m2", "m3"):
        look = s.with_host(look, host, {UPLOADED: s.upload(2 * 86400) if host != "m3" else "{damaged"})
    return look


def no_forwarding(look: ClusterLook) -> ClusterLook:
    return s.with_host(look, "w1", {FORWARDS: "0\n"})


def route_deleted(look: ClusterLook) -> ClusterLook:
    return s.with_host(look, "w1", {ROUTES: '[{"dst": "10.244.0.0/24", "dev": "eth0"}]'})


def rules_flushed(look: ClusterLook) -> ClusterLook:
    return s.with_host(look, "w1", {MISSING: "rule nat POSTROUTING -j K8SBOOTSTRAP-MASQ\n"})


def watch_stopped(look: ClusterLook) -> ClusterLook:
    look = s.with_unit(look, "w1", s.unit("k8s-pod-network-watch", "inactive", "dead"))
    return s.with_host(
        look, "w1", {MISSING: "route 10.244.0.0/24\nrule nat POSTROUTING -j K8SBOOTSTRAP-MASQ\n"}
    )


def services_gone(look: ClusterLook) -> ClusterLook:
    return s.with_host(look, "w1", {PACKET_RULES: ""}, {SERVICE: TIMED_OUT})


def with_pod(pod: dict[str, object], *more: dict[str, object]) -> Break:
    return lambda look: s.with_objects(look, PODS, [*s.objects(look, PODS), pod, *more])


def dns(replicas: int, pods: list[dict[str, object]]) -> Break:
    def change(look: ClusterLook) -> ClusterLook:
        found = s.objects(look, DEPLOYMENTS)
        found[0]["spec"]["replicas"] = replicas
        found[0]["status"] = {
            "conditions": [{"type": "Available", "status": "False", "lastTransitionTime": s.iso(s.NOW - 120)}]
        }
        return s.with_objects(s.with_objects(look, DEPLOYMENTS, found), PODS, pods)

    return change


PULL = s.waiting("ImagePullBackOff", 'Back-off pulling image "example.invalid/app:1"')
CRASH = s.waiting("CrashLoopBackOff", "back-off 40s", {"exitCode": 3, "reason": "Error"})
UNPLACED = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/5 nodes"}]
CASES: dict[str, tuple[Break, list[tuple[str, str]], set[tuple[str, str]]]] = {
    "a host that is off": (
        lambda look: with_node("w1", conditions=[{"type": "Ready", "status": "Unknown"}])(
            s.without_host(look, "w1")
        ),
        [("host-unreachable", "w1")],
        {("node-not-ready", "w1")},
    ),
    "a master that is off": (
        lambda look: s.without_host(look, "m2"),
        [("host-unreachable", "m2")],
        {("etcd-member-down", "m2")},
    ),
    "a host that was stopped": (
        host_stopped("m3"),
        [("host-stopped", "m3")],
        {
            *((f"{name}-down", "m3") for name in ("etcd-member", "controller-manager", "scheduler")),
            *((f"{name}-down", "m3") for name in ("apiserver", "runtime", "kubelet", "kube-proxy")),
            ("api-not-from-node", "m3"),
            ("service-unreachable", "m3"),
            ("virtual-ip-down", "m3"),
        },
    ),
    "a restore that was killed": (
        restoring,
        [("etcd-restore-unfinished", "cluster")],
        {
            *((f"{name}-down", host) for host in ("m1", "m2", "m3") for name in ("etcd-member", "apiserver")),
            *(("api-not-from-node", host) for host in ("m1", "m2", "m3")),
            ("etcd-no-quorum", "cluster"),
            ("api-unreachable", "cluster"),
        },
    ),
    "a database that is nearly full": (big(0.1), [("etcd-nearly-full", "m1")], set()),
    "snapshots that are switched off": (no_timer, [("etcd-snapshots-off", "m1")], set()),
    "certificates that a master does not renew": (no_renewal, [("renewal-off", "m2")], set()),
    "a renewal that failed": (renewal_failed, [("renewal-off", "m2")], set()),
    "snapshots that are late": (no_new_snapshot, [("etcd-snapshot-late", "cluster")], set()),
    "an upload that failed": (upload_failed, [("etcd-upload-failed", "m2")], set()),
    "uploads that are late": (no_new_upload, [("etcd-upload-failed", "cluster")], set()),
    "uploads that are late with the snapshots": (
        lambda look: no_new_upload(no_new_snapshot(look)),
        [("etcd-snapshot-late", "cluster")],
        {("etcd-upload-failed", "cluster")},
    ),
    "late because the timer is off": (
        lambda look: no_timer(no_new_snapshot(look)),
        [("etcd-snapshots-off", "m1")],
        {("etcd-snapshot-late", "cluster")},
    ),
    "a clock": (clock, [("clock-wrong", "w1")], set()),
    "a full disk": (
        full,
        [("disk-full", "m2")],
        {("etcd-member-down", "m2"), ("apiserver-down", "m2"), ("api-not-from-node", "m2")},
    ),
    "a disk with too many files": (no_more_files, [("disk-full", "w1")], set()),
    "swap": (swap, [("swap-on", "w1")], set()),
    "swap, and the kubelet was started again": (
        swap_and_no_kubelet,
        [("swap-on", "w1")],
        {("kubelet-down", "w1")},
    ),
    "a firewall": (blocked, [("port-blocked", "m3")], set()),
    "an expired certificate": (
        expired,
        [("certificate-expired", "m1")],
        {("apiserver-down", "m1"), ("api-not-from-node", "m1")},
    ),
    "a certificate that expires": (soon, [("certificate-expiring", "w1")], set()),
    "a certificate of another CA": (of_another_ca, [("certificate-wrong", "w1")], set()),
    "a certificate for another address": (for_another_address, [("certificate-wrong", "m1")], set()),
    "a port": (
        port_taken,
        [("port-taken", "m1")],
        {("apiserver-down", "m1"), ("scheduler-down", "m1"), ("api-not-from-node", "m1")},
    ),
    "a flag": (wrong_flag, [("wrong-setting", "w2")], {("kubelet-down", "w2")}),
    "a member without its data": (
        data_lost,
        [("etcd-data-lost", "m1")],
        {("etcd-member-down", "m1"), ("apiserver-down", "m1"), ("api-not-from-node", "m1")},
    ),
    "etcd's quota": (no_space, [("etcd-no-space", "m2")], set()),
    "damaged data": (corrupt, [("etcd-corrupt", "m1")], set()),
    "a stopped member": (
        member_stopped,
        [("etcd-member-down", "m3")],
        {("apiserver-down", "m3"), ("api-not-from-node", "m3")},
    ),
    "a member that is cut off": (member_cut_off, [("etcd-member-down", "m3")], set()),
    "a lost quorum": (
        quorum_lost,
        [("etcd-member-down", "m2"), ("etcd-member-down", "m3")],
        {
            ("etcd-no-quorum", "cluster"),
            ("api-unreachable", "cluster"),
            *(("apiserver-down", host) for host in ("m1", "m2", "m3")),
            *(("api-not-from-node", host) for host in ("m1", "m2", "m3", "w1", "w2")),
            *(("service-unreachable", host) for host in ("w1", "w2")),
        },
    ),
    "a stopped API server": (
        api_server_stopped,
        [("apiserver-down", "m2")],
        {("api-not-from-node", "m2")},
    ),
    "an API that answers nobody": (no_master_answers, [("api-unreachable", "cluster")], set()),
    "a load balancer": (stopped("w1", "haproxy"), [("load-balancer-down", "w1")], set()),
    "a keepalived": (stopped("m2", "keepalived"), [("virtual-ip-down", "m2")], set()),
    "a kube-controller-manager": (
        stopped("m1", "kube-controller-manager"),
        [("controller-manager-down", "m1")],
        set(),
    ),
    "a kube-scheduler": (stopped("m1", "kube-scheduler"), [("scheduler-down", "m1")], set()),
    "a kubelet that is turned away": (
        lambda look: s.with_host(look, "w1", http={API: HttpAnswer(401, "Unauthorized", "", 0.1)}),
        [("api-not-from-node", "w1")],
        set(),
    ),
    "a runtime": (
        stopped("w1", "docker", "cri-dockerd", "kubelet"),
        [("runtime-down", "w1")],
        {("kubelet-down", "w1")},
    ),
    "a kubelet": (stopped("w1", "kubelet"), [("kubelet-down", "w1")], set()),
    "a kubelet, and its node is not Ready": (
        lambda look: with_node("w1", conditions=[{"type": "Ready", "status": "Unknown"}])(
            stopped("w1", "kubelet")(look)
        ),
        [("kubelet-down", "w1")],
        {("node-not-ready", "w1")},
    ),
    "a deleted node": (node_deleted, [("node-missing", "w2")], set()),
    "a node that is not Ready": (
        with_node("w1", conditions=[{"type": "Ready", "status": "False"}]),
        [("node-not-ready", "w1")],
        set(),
    ),
    "a node without memory": (
        with_node(
            "w1",
            conditions=[{"type": "Ready", "status": "True"}, {"type": "MemoryPressure", "status": "True"}],
        ),
        [("node-pressure", "w1")],
        set(),
    ),
    "a cordoned node": (cordoned, [("node-cordoned", "w2")], set()),
    "a node of a host that is in cluster.yaml no more": (
        node_of_another_time,
        [("node-unplanned", "w9")],
        {("node-not-ready", "w9")},
    ),
    "forwarding": (no_forwarding, [("ip-forward-off", "w1")], set()),
    "a route": (route_deleted, [("pod-route-missing", "w1")], set()),
    "packet rules": (rules_flushed, [("pod-rules-missing", "w1")], set()),
    "routes that nothing sets again": (
        watch_stopped,
        [("pod-network-down", "w1")],
        {("pod-route-missing", "w1"), ("pod-rules-missing", "w1")},
    ),
    "kube-proxy": (
        lambda look: services_gone(stopped("w1", "kube-proxy")(look)),
        [("kube-proxy-down", "w1")],
        {("service-unreachable", "w1")},
    ),
    "Services": (services_gone, [("service-unreachable", "w1")], set()),
    "CoreDNS's image": (
        dns(2, [s.pod("c", "w1", "kube-system", app="kube-dns", phase="Pending", containerStatuses=PULL)]),
        [("dns-image-not-pulled", "w1")],
        {("dns-down", "cluster")},
    ),
    "DNS without pods": (dns(0, []), [("dns-off", "cluster")], set()),
    "DNS without its deployment": (
        lambda look: s.with_objects(look, DEPLOYMENTS, []),
        [("dns-off", "cluster")],
        set(),
    ),
    "DNS that crashes, and what needs it": (
        dns(
            2,
            [
                s.pod("c", "w1", "kube-system", app="kube-dns", containerStatuses=CRASH),
                s.pod("app", containerStatuses=CRASH),
            ],
        ),
        [("dns-down", "cluster")],
        {("pod-crashing", "w1")},
    ),
    "an image": (
        with_pod(s.pod("app", phase="Pending", containerStatuses=PULL)),
        [("image-not-pulled", "w1")],
        set(),
    ),
    "a pod that crashes": (
        with_pod(s.pod("app", containerStatuses=CRASH)),
        [("pod-crashing", "w1")],
        set(),
    ),
    "a pod that has just crashed again": (
        with_pod(
            s.pod(
                "app",
                containerStatuses=[
                    {
                        "name": "main",
                        "restartCount": 2,
                        "state": {"terminated": {"exitCode": 1, "reason": "Error"}},
                    }
                ],
            )
        ),
        [("pod-crashing", "w1")],
        set(),
    ),
    "a pod that fits nowhere": (
        with_pod(s.pod("app", "", phase="Pending", containerStatuses=[], conditions=UNPLACED)),
        [("pod-unplaced", "cluster")],
        set(),
    ),
    "a pod without a scheduler": (
        lambda look: with_pod(s.pod("app", "", phase="Pending", containerStatuses=[]))(
            stopped("m1", "kube-scheduler")(look)
        ),
        [("scheduler-down", "m1")],
        {("pod-unplaced", "cluster")},
    ),
    "a pod that does not start": (
        lambda look: s.with_objects(
            with_pod(
                s.pod("app", phase="Pending", containerStatuses=s.waiting("ContainerCreating")),
            )(look),
            EVENTS,
            [
                {
                    "metadata": {"name": "e"},
                    "involvedObject": {"kind": "Pod", "namespace": "default", "name": "app"},
                    "reason": "FailedMount",
                    "message": 'configmap "x" not found',
                    "lastTimestamp": s.iso(s.NOW - 5),
                }
            ],
        ),
        [("pod-not-starting", "w1")],
        set(),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_cause_is_named_and_what_follows_from_it(
    plan: ClusterPlan, look: ClusterLook, case: tuple[Break, list[tuple[str, str]], set[tuple[str, str]]]
) -> None:
    change, expected, consequences = case
    found = s.causes(plan, change(look))
    assert s.ids(found) == expected
    assert {(each.check, each.host) for cause in found for each in cause.consequences} == consequences
    for finding in (each for cause in found for each in (cause.finding, *cause.consequences)):
        assert finding.fix
        assert finding.message


def test_every_rule_is_broken_here() -> None:
    causes = {name for _, expected, _ in CASES.values() for name, _ in expected}
    consequences = {name for _, _, follow in CASES.values() for name, _ in follow}
    assert causes | consequences == {rule.name for rule in RULES}


def finding(plan: ClusterPlan, look: ClusterLook):
    return s.causes(plan, look)[0].finding


def test_evidence_is_what_was_seen_and_since_when(plan, look):
    said = finding(plan, full(look))
    assert said.message == "the disk of /var/lib/etcd is full: 0.0 of 20.0 GiB free"
    assert said.evidence[0] == f"df: /dev/vdb1: 4096 of {20 * s.GIB} bytes free"
    said = finding(plan, port_taken(look))
    assert said.message == "kube-apiserver can't start: python3 listens at its port 6443"
    assert "bind: address already in use" in said.evidence[1]
    assert said.fix.endswith("systemctl reset-failed kube-apiserver; systemctl restart kube-apiserver")
    assert said.since == pytest.approx(s.NOW + 1 - 60, abs=0.01)
    said = finding(plan, wrong_flag(look))
    assert said.evidence == (
        "journal of kubelet: E1129 run.go:72] failed to parse kubelet flag: unknown flag: --nonsense",
    )
    panics = etcd_down(
        look,
        "m1",
        s.unit("etcd", "failed", "failed", "exit-code", status=2),
        '{"level":"panic","msg":"failed to open","error":"no such file"}',
    )
    assert finding(plan, panics).evidence[1] == "journal of etcd: panic: failed to open: no such file"
    early = s.journal("etcd", "failed to do something").replace(f"{s.NOW - 10:.6f}", f"{s.NOW - 1000:.6f}")
    assert (
        len(finding(plan, s.with_unit(look, "m3", s.unit("etcd", "inactive", "dead"), early)).evidence) == 1
    )
    said = finding(plan, cordoned(look))
    assert said.since == pytest.approx(s.NOW - 86400, abs=1)
    said = finding(plan, data_lost(look))
    assert "its data belongs in /var/lib/etcd/member/wal" in said.evidence[1]
    assert "k8sbootstrap remove m1" in said.fix
    said = finding(plan, CASES["a pod that does not start"][0](look))
    assert said.evidence == ('FailedMount: configmap "x" not found',)


@pytest.mark.parametrize(
    ("reason", "fix"),
    [
        ("reboot:4f1c", "run it again: k8sbootstrap reboot w2. Or run: k8sbootstrap up,"),
        ("remove", "run it again: k8sbootstrap remove w2. Or run: k8sbootstrap up,"),
        ("stop", "Run: k8sbootstrap start w2"),
        ("1.37.2", "run it again: k8sbootstrap up"),
        ("\x1b[2J; rm -rf /", "run it again: k8sbootstrap up"),
    ],
)
def test_a_command_that_was_stopped_in_between_is_run_again(plan, look, reason, fix):
    said = finding(plan, cordoned_by(reason)(look))
    assert said.check == "node-cordoned"
    assert fix in said.fix
    assert said.evidence[1].startswith("annotation k8sbootstrap.io/cordoned of Node w2: ")
    assert "rm" not in said.fix


def test_routes_that_a_program_misses_are_named_by_their_nodes(plan, look):
    gone = s.with_host(look, "w1", {MISSING: "route 10.244.0.0/24\nroute 10.244.77.0/24\nroute junk\n"})
    said = finding(plan, gone)
    assert said.message == "has no route to the pods of m1 and 10.244.77.0/24"
    assert said.fix.startswith("On w1, run: systemctl reload-or-restart k8s-pod-network. If ")
    assert "k8sbootstrap up" in said.fix


def test_lost_data_comes_from_others_from_a_survivor_or_from_a_snapshot(plan, look):
    assert "k8sbootstrap remove m1, then k8sbootstrap up" in finding(plan, data_lost(look)).fix

    def all_but(survivors: set[str]) -> ClusterLook:
        found = quorum_lost(look)
        for host in {"m1", "m2", "m3"} - survivors:
            gone = s.unit("etcd", "failed", "failed", "exit-code", status=78)
            found = etcd_down(found, host, gone, "its data belongs in /var/lib/etcd/member/wal")
        return found

    said = s.causes(plan, all_but({"m1"}))[0]
    assert "k8sbootstrap etcd recover --survivor m1" in said.finding.fix
    assert "k8sbootstrap etcd recover --survivor m1" in next(
        each.fix for each in said.consequences if each.check == "etcd-no-quorum"
    )
    assert "k8sbootstrap etcd restore --newest" in finding(plan, all_but(set())).fix
    unknown = s.without_host(all_but({"m1"}), "m1")
    fixes = " ".join(each.finding.fix for each in s.causes(plan, unknown))
    assert "k8sbootstrap plan" in fixes
    assert "k8sbootstrap etcd re" not in fixes


def test_a_database_that_is_nearly_full_is_defragmented_only_where_that_helps(plan, look):
    assert "k8sbootstrap etcd defrag" in finding(plan, big(0.1)(look)).fix
    assert "quota-backend-bytes" in finding(plan, big(0.95)(look)).fix


def test_a_whole_cluster_that_was_stopped(plan, look):
    for host in look.hosts:
        look = host_stopped(host)(look)
    assert {each.finding.fix for each in s.causes(plan, look)} == {"Run: k8sbootstrap start"}


def test_the_fix_of_a_blocked_port_deletes_the_rule_that_blocks_it(plan, look):
    said = finding(plan, blocked(look))
    assert said.fix == "On m3, run: iptables -D INPUT ! -i lo -p tcp -m tcp --dport 2379 -j DROP"
    evil = blocked(look)
    rule = "-A INPUT -p tcp --dport 2379 -m comment --comment $(reboot) -j DROP\n"
    evil = s.with_host(evil, "m3", {PACKET_RULES: evil.hosts["m3"].answer.run[PACKET_RULES].stdout + rule})
    first = evil.hosts["m3"].answer.run[PACKET_RULES].stdout.splitlines()
    evil = s.with_host(evil, "m3", {PACKET_RULES: "\n".join(reversed(first))})
    assert "reboot" not in finding(plan, evil).fix


def test_a_port_that_takes_connections_and_answers_late_is_not_blocked(plan, look):
    slow = replace(TIMED_OUT, connected=True)
    assert s.causes(plan, s.with_host(look, "m1", http={peer_key("m3", 2379): slow})) == []


def test_a_port_of_a_component_that_is_being_started_is_not_blocked(plan, look):
    found = s.with_host(look, "m1", http={peer_key("m3", 2379): REFUSED})
    assert s.ids(s.causes(plan, found)) == [("port-blocked", "m3")]
    starting = s.with_unit(found, "m3", s.unit("etcd", "activating", "start", restarts=3))
    assert s.ids(s.causes(plan, starting)) == [("etcd-member-down", "m3")]


def test_a_host_is_stopped_even_if_a_service_did_not_end_in_time(plan, look):
    found = host_stopped("m3")(look)
    late = s.with_unit(found, "m3", s.unit("etcd", "failed", "failed", "timeout"))
    assert s.ids(s.causes(plan, late)) == [("host-stopped", "m3")]
    again = s.with_unit(found, "m3", s.unit("etcd", "activating", "auto-restart", "exit-code"))
    assert ("host-stopped", "m3") not in s.ids(s.causes(plan, again))


def test_a_renewal_that_failed_is_started_again(plan, look):
    """certs renew would leave the unit failed, and doctor would go on to name it."""
    start = "On m2, run: systemctl start k8sbootstrap-certificates."
    assert finding(plan, no_renewal(look)).fix == f"{start}timer"
    assert finding(plan, renewal_failed(look)).fix.startswith(f"{start}service. If it fails again, run: ")


def test_all_clocks_that_are_off_by_the_same_are_this_machines(plan, look):
    hosts = {
        name: replace(seen, answer=replace(seen.answer, clock=(s.NOW + 3600.1, s.NOW + 3600.9)))
        for name, seen in look.hosts.items()
    }
    said = finding(plan, replace(look, hosts=hosts))
    assert (said.check, said.host) == ("clock-wrong", "this machine")
    assert "behind those of all hosts" in said.message


def test_what_hosts_say_is_no_terminal_control_and_no_command(plan, look):
    pod = s.pod("a; rm -rf /", containerStatuses=s.waiting("CrashLoopBackOff", "\x1b[2Jboo\n\nboo"))
    said = finding(plan, with_pod(pod)(look))
    assert "'a; rm -rf /'" in said.fix
    assert "\x1b" not in "".join(said.evidence)
    assert "\n" not in "".join(said.evidence)


def test_a_time_that_cannot_be_is_left_out(plan, look):
    pod = s.pod("app", containerStatuses=CRASH)
    pod["metadata"]["creationTimestamp"] = "0001-01-01T00:00:00Z"
    assert finding(plan, with_pod(pod)(look)).since is None


def test_harmless_findings_come_last(plan, look):
    found = s.causes(plan, stopped("m1", "kube-scheduler")(cordoned(swap(look))))
    assert s.ids(found) == [("scheduler-down", "m1"), ("swap-on", "w1"), ("node-cordoned", "w2")]


JUNK = (
    "",
    "\x00\x1b]0;x\x07",
    "[]",
    "{}",
    '{"items": [5, {"metadata": 5}, {"metadata": {"name": "\x1b[2J"}}]}',
    '[{"dst": 5}]',
    '[{"Status": {"header": 5}}]',
    "9" * 400 + " 1\n",
    "Id=etcd.service\nActiveState=\nStateChangeTimestampMonotonic=99999999999999999999999\n",
    "[" * 100_000,
    f"{s.DF_HEAD}/ x {'9' * 30} 0 0 0\n",
    "99999999999.5 m1 etcd[1]: error \x1b[2J",
)


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_hosts_that_answer_nonsense_break_nothing(plan, look, junk):
    for name in look.hosts:
        old = look.hosts[name].answer
        run = {key: RunAnswer(0, junk, junk) for key in old.run}
        http = {key: HttpAnswer(0, junk, junk, 1e300) for key in old.http}
        look = s.with_host(look, name, run, http, dict.fromkeys(old.certificates, junk))
        clocked = replace(look.hosts[name].answer, clock=(1e300, -1e300))
        look = replace(look, hosts={**look.hosts, name: replace(look.hosts[name], answer=clocked)})
    look = replace(look, api={key: RunAnswer(0, junk, junk) for key in look.api})
    for cause in s.causes(plan, look):
        for each in (cause.finding, *cause.consequences):
            assert not set("\x00\x1b\x07\n") & set("".join((each.message, each.fix, *each.evidence)))
            assert len(each.message) <= 600

"""What is asked: one request to the agent of each host, and a few kubectl commands on one master."""

from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files

from k8sbootstrap.hosts.answers import Get, Request, RunCommand
from k8sbootstrap.plan.components import components_of
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.certificates import ON_HOSTS
from k8sbootstrap.survey.cluster.kubectl import argv
from k8sbootstrap.survey.cluster.requests import (
    SNAPSHOT_FOLDER,
    UNITS,
    health_request,
    kubernetes_service_get,
)

SERVICE = "kubernetes service"
"""Key of the request to the API through its ClusterIP."""
UPTIME, SWAPS, FORWARDS = "uptime", "swaps", "ip_forward"
DISKS, SOCKETS, ROUTES, RULES = "disks", "sockets", "routes", "packet rules"
MISSING, RESTORING, UPLOADED = "missing", "restoring", "uploaded"
NODES, PODS, DEPLOYMENTS, EVENTS = "nodes", "pods", "deployments", "events"
ETCD_CLIENTS, ETCD_PEERS, KUBELET = 2379, 2380, 10250

_JOURNAL_LINES = 40
_DF = "file,source,size,avail,itotal,iavail"
_PEER_TIMEOUT = 5.0
"""Seconds that a host in the same network may take to answer."""
_PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,Result,ExecMainStatus,NRestarts,ActiveExitTimestampMonotonic,"
    "StateChangeTimestampMonotonic"
)
_RULES_SCRIPT = (
    "{ iptables-save -t filter; iptables-save -t nat; } 2>/dev/null"
    " | grep -E -- '-j (DROP|REJECT)|^:KUBE-SERVICES' | grep -v '^-A KUBE' | head -n 200"
)
"""Rules that drop packets, and whether kube-proxy has any; without kube-proxy's own, which are as many as
there are Services."""
MISSING_COMMAND = ("/bin/sh", "/usr/local/lib/k8sbootstrap/pod-network", "missing")
"""Prints routes and rules of the pod network that somebody took off, one a line."""
_RESTORING_SCRIPT = (
    "import json; print(json.load(open('/var/lib/k8sbootstrap/record.json'))['etcd'].get('restoring', ''))"
)
"""Prints the id of a restore of etcd that was begun here and has not ended."""
UPLOAD_RECORD = f"{SNAPSHOT_FOLDER}/upload.json"
"""What the timer's last upload to the bucket came to, see ``kube/etcd_bucket.py``."""
ROUTES_KEPT = ("k8s-pod-network.service", "k8s-pod-network-watch.service")
"""Units that set routes to pods on other nodes, and set them again."""
SNAPSHOTS_TAKEN = ("etcd-snapshot.timer", "etcd-snapshot.service")
"""Units that take snapshots of etcd."""
CERTIFICATES_RENEWED = ("k8sbootstrap-certificates.timer", "k8sbootstrap-certificates.service")
"""Units by which a master renews the certificates that it holds."""
_EVENTS_PATH = "/api/v1/events?fieldSelector=type%3DWarning&limit=500"


def doctor_request(plan: ClusterPlan, host: HostPlan) -> Request:
    """All that is asked of a host: it takes about a second there."""
    health = health_request(plan, host)
    http = {**health.http, **dict(_peers(plan, host))}
    if host.is_node:
        http[SERVICE] = replace(kubernetes_service_get(plan), timeout=_PEER_TIMEOUT)
    observed = [component for component in components_of(plan, host) if component.observed]
    run = {
        **health.run,
        UNITS: RunCommand(
            (
                "systemctl",
                "show",
                f"--property={_PROPERTIES}",
                *(each.unit for each in observed),
                *helpers(plan, host),
            )
        ),
        UPTIME: RunCommand(("cat", "/proc/uptime")),
        SWAPS: RunCommand(("cat", "/proc/swaps")),
        FORWARDS: RunCommand(("cat", "/proc/sys/net/ipv4/ip_forward")),
        DISKS: RunCommand(("df", "-B1", f"--output={_DF}", *_folders(plan, host))),
        SOCKETS: RunCommand(("ss", "-Hltnp")),
        ROUTES: RunCommand(("ip", "-j", "-4", "route", "show")),
        RULES: RunCommand(("sh", "-c", _RULES_SCRIPT)),
    }
    if keeps_routes(plan, host):
        run[MISSING] = RunCommand(MISSING_COMMAND)
    if host.is_etcd:
        run[RESTORING] = RunCommand(("python3", "-I", "-c", _RESTORING_SCRIPT))
        if plan.config.etcd.snapshots.s3:
            run[UPLOADED] = RunCommand(("head", "-c", "20000", UPLOAD_RECORD))
    for component in observed:
        run[journal_key(component.name)] = RunCommand(
            (
                "journalctl",
                "-q",
                "--no-pager",
                "-o",
                "short-unix",
                f"-n{_JOURNAL_LINES}",
                "-u",
                component.unit,
            )
        )
    return Request(http=http, run=run, certificates=ON_HOSTS)


def keeps_routes(plan: ClusterPlan, host: HostPlan) -> bool:
    """Whether a host itself sets routes to pods on other nodes."""
    return host.is_node and plan.config.network.plugin == "routed"


def helpers(plan: ClusterPlan, host: HostPlan) -> tuple[str, ...]:
    """Units that a host has beside its components."""
    routes = ROUTES_KEPT if keeps_routes(plan, host) else ()
    taken = SNAPSHOTS_TAKEN if host.is_etcd and plan.config.etcd.snapshots.seconds else ()
    renewed = CERTIFICATES_RENEWED if host.is_master else ()
    return (*routes, *taken, *renewed)


def journal_key(component: str) -> str:
    """Key of the last lines that a component wrote to the journal."""
    return f"journal of {component}"


def peer_key(name: str, port: int) -> str:
    """Key of a request to another host."""
    return f"{name} at {port}"


def api_requests() -> dict[str, RunCommand]:
    """What a master's kubectl is asked: of pods only those that are not well, at most some hundred."""
    pods = files("k8sbootstrap.hosts.scripts").joinpath("sick_pods.py").read_text()
    return {
        NODES: RunCommand(argv("get", "nodes", "-o", "json"), 20),
        PODS: RunCommand(("python3", "-I", "-c", pods, *argv("get", "pods", "-A", "-o", "json")), 40),
        DEPLOYMENTS: RunCommand(argv("get", "deployments", "-n", "kube-system", "-o", "json"), 20),
        EVENTS: RunCommand(argv("get", "--raw", _EVENTS_PATH), 20),
    }


def _folders(plan: ClusterPlan, host: HostPlan) -> Iterator[str]:
    """Folders that must not be full."""
    yield "/"
    yield "/var/log"
    if host.is_etcd:
        yield "/var/lib/etcd"
    if host.is_node:
        runtime = plan.config.runtime
        yield "/var/lib/kubelet"
        yield runtime.docker.data_root if runtime.name == "docker" else "/var/lib/containerd"


def _peers(plan: ClusterPlan, host: HostPlan) -> Iterator[tuple[str, Get]]:
    """Ports of other hosts that components on this one connect to, asked with the certificates they have."""
    for other in plan.hosts:
        if other == host:
            continue
        address = other.private_address
        if host.is_etcd and other.is_etcd:
            pki = "/etc/etcd/pki"
            yield _peer(f"https://{address}:{ETCD_PEERS}/version", other, ETCD_PEERS, f"{pki}/peer")
            yield _peer(
                f"https://{address}:{ETCD_CLIENTS}/health", other, ETCD_CLIENTS, f"{pki}/healthcheck-client"
            )
        elif host.is_master and other.is_etcd:
            client = "/etc/kubernetes/pki/apiserver-etcd-client"
            yield _peer(f"https://{address}:{ETCD_CLIENTS}/health", other, ETCD_CLIENTS, client)
        if host.is_master and other.is_node:
            client = "/etc/kubernetes/pki/apiserver-kubelet-client"
            yield _peer(f"https://{address}:{KUBELET}/healthz", other, KUBELET, client)
        if host.is_node and not host.is_master and other.is_master:
            port = plan.config.api.port
            yield peer_key(other.name, port), Get(f"https://{address}:{port}/readyz", timeout=_PEER_TIMEOUT)


def _peer(url: str, other: HostPlan, port: int, client: str) -> tuple[str, Get]:
    """A request that need only arrive: the server's certificate is judged on its own host."""
    return peer_key(other.name, port), Get(
        url, cert=f"{client}.crt", key=f"{client}.key", timeout=_PEER_TIMEOUT
    )

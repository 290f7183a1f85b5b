"""What is asked of each host: the one list of components, health endpoints and units."""

from k8sbootstrap.hosts.answers import Get, Request, Run
from k8sbootstrap.plan.models import ClusterPlan, HostPlan

ETCD_URL = "https://127.0.0.1:2379"
API = "api"
"""Key of the request for the API as a node's own kubelet reaches it."""
UNITS = "units"
MEMBERS, ENDPOINT_STATUS, ENDPOINT_HEALTH = "etcd members", "etcd status", "etcd health"

_CA = "/etc/kubernetes/pki/ca.crt"
_ETCD_PKI = "/etc/etcd/pki"
_KUBELET_CA = "/var/lib/kubelet/pki/ca.crt"
_KUBELET_CLIENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
_APISERVER_CLIENT = "/etc/kubernetes/pki/apiserver-kubelet-client"


def health_endpoints(plan: ClusterPlan, host: HostPlan) -> dict[str, Get]:
    """The health endpoint of every component that should run on ``host``, by component."""
    endpoints: dict[str, Get] = {}
    if host.is_etcd:
        client = f"{_ETCD_PKI}/healthcheck-client"
        endpoints["etcd"] = Get(
            f"{ETCD_URL}/health", ca=f"{_ETCD_PKI}/ca.crt", cert=f"{client}.crt", key=f"{client}.key"
        )
    if host.is_master:
        port = plan.config.api.port
        endpoints["kube-apiserver"] = Get(
            f"https://127.0.0.1:{port}/readyz",
            ca=_CA,
            cert=f"{_APISERVER_CLIENT}.crt",
            key=f"{_APISERVER_CLIENT}.key",
        )
        endpoints["kube-controller-manager"] = Get("https://127.0.0.1:10257/healthz")
        endpoints["kube-scheduler"] = Get("https://127.0.0.1:10259/healthz")
    if host.is_node:
        endpoints["kubelet"] = Get("http://127.0.0.1:10248/healthz")
        if plan.has_kube_proxy:
            endpoints["kube-proxy"] = Get("http://127.0.0.1:10256/healthz")
    return endpoints


def units(plan: ClusterPlan, host: HostPlan) -> tuple[str, ...]:
    """The systemd units that should be active on ``host``, without ``.service``."""
    names = list(health_endpoints(plan, host))
    if host.is_node:
        runtime = plan.config.runtime.name
        names.append(runtime)
        if runtime == "docker" and plan.release.minor.cri_dockerd:
            names.append("cri-dockerd")
        if not host.is_master and plan.node_api_endpoint.startswith("127.0.0.1:"):
            names.append("haproxy")
    return tuple(names)


def api_of(plan: ClusterPlan, host: HostPlan) -> str:
    """HOST:PORT through which the kubelet and kube-proxy of ``host`` reach the API."""
    return f"127.0.0.1:{plan.config.api.port}" if host.is_master else plan.node_api_endpoint


def api_get(plan: ClusterPlan, host: HostPlan) -> Get:
    """The request that a node makes with its own kubelet's identity."""
    return Get(f"https://{api_of(plan, host)}/readyz", ca=_KUBELET_CA, cert=_KUBELET_CLIENT)


def kubernetes_service_get(plan: ClusterPlan) -> Get:
    """The same through the ClusterIP of the Service ``kubernetes``."""
    return Get(f"https://{plan.kubernetes_service_ip}:443/readyz", ca=_KUBELET_CA, cert=_KUBELET_CLIENT)


def etcdctl(*arguments: str) -> Run:
    """An etcdctl command on an etcd host, against its own member, printing JSON."""
    client = f"{_ETCD_PKI}/healthcheck-client"
    return Run(
        (
            "/usr/local/bin/etcdctl",
            f"--endpoints={ETCD_URL}",
            f"--cacert={_ETCD_PKI}/ca.crt",
            f"--cert={client}.crt",
            f"--key={client}.key",
            "--command-timeout=4s",
            "--write-out=json",
            *arguments,
        )
    )


def health_request(plan: ClusterPlan, host: HostPlan) -> Request:
    """Everything that tells whether ``host`` itself is well."""
    http = health_endpoints(plan, host)
    if host.is_node:
        http[API] = api_get(plan, host)
    properties = "--property=Id,ActiveState,SubState,ExecMainStatus"
    run = {UNITS: Run(("systemctl", "show", properties, *_services(plan, host)))}
    if host.is_etcd:
        run[MEMBERS] = etcdctl("member", "list")
        run[ENDPOINT_STATUS] = etcdctl("endpoint", "status")
        run[ENDPOINT_HEALTH] = etcdctl("endpoint", "health")
    return Request(http=http, run=run)


def _services(plan: ClusterPlan, host: HostPlan) -> list[str]:
    return [f"{unit}.service" for unit in units(plan, host)]

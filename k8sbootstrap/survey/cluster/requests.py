"""What is asked of each host: health endpoints, units and etcd."""

from k8sbootstrap.hosts.answers import Get, Request, RunCommand
from k8sbootstrap.plan.components import Component, Health, components_of, port_number
from k8sbootstrap.plan.models import ClusterPlan, HostPlan

ETCD_URL = "https://127.0.0.1:2379"
API = "api"
"""Key of the request for the API as a node's own kubelet reaches it."""
UNITS = "units"
MEMBERS, ENDPOINT_STATUS, ENDPOINT_HEALTH = "etcd members", "etcd status", "etcd health"
SNAPSHOTS = "etcd snapshots"
SNAPSHOT_FOLDER = "/var/lib/k8sbootstrap/etcd-snapshots"
"""Where etcd hosts keep snapshots of etcd."""

_ETCD_PKI = "/etc/etcd/pki"
_KUBELET_CA = "/var/lib/kubelet/pki/ca.crt"
_KUBELET_CLIENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"


def health_endpoints(plan: ClusterPlan, host: HostPlan) -> dict[str, Get]:
    """The health endpoint of every component that should run on ``host``, by component."""
    return {
        component.name: _health_get(component.health, plan)
        for component in components_of(plan, host)
        if component.health
    }


def units(plan: ClusterPlan, host: HostPlan) -> tuple[str, ...]:
    """The systemd units that should be active on ``host``, without ``.service``."""
    return tuple(component.name for component in _observed(plan, host))


def api_get(plan: ClusterPlan, host: HostPlan) -> Get:
    """The request that a node makes with its own kubelet's identity."""
    return Get(f"https://{plan.api_of(host)}/readyz", ca=_KUBELET_CA, cert=_KUBELET_CLIENT)


def kubernetes_service_get(plan: ClusterPlan) -> Get:
    """The same through the ClusterIP of the Service ``kubernetes``."""
    return Get(f"https://{plan.kubernetes_service_ip}:443/readyz", ca=_KUBELET_CA, cert=_KUBELET_CLIENT)


def etcdctl(*arguments: str, seconds: int = 4) -> RunCommand:
    """An etcdctl command on an etcd host, against its own member, printing JSON.

    Args:
        arguments: Of etcdctl.
        seconds: How long etcd may take.
    """
    client = f"{_ETCD_PKI}/healthcheck-client"
    return RunCommand(
        (
            "/usr/local/bin/etcdctl",
            f"--endpoints={ETCD_URL}",
            f"--cacert={_ETCD_PKI}/ca.crt",
            f"--cert={client}.crt",
            f"--key={client}.key",
            f"--command-timeout={seconds}s",
            "--write-out=json",
            *arguments,
        ),
        timeout=seconds + 6,
    )


def etcd_questions() -> dict[str, RunCommand]:
    """What an etcd host says about its member, and about etcd's snapshots in its folder for them."""
    listing = ("find", SNAPSHOT_FOLDER, "-maxdepth", "1", "-type", "f", "-printf", "%f %s %T@\\n")
    return {
        MEMBERS: etcdctl("member", "list"),
        ENDPOINT_STATUS: etcdctl("endpoint", "status"),
        ENDPOINT_HEALTH: etcdctl("endpoint", "health"),
        SNAPSHOTS: RunCommand(listing),
    }


def health_request(plan: ClusterPlan, host: HostPlan) -> Request:
    """The request whose answer tells whether ``host`` itself is healthy."""
    http = health_endpoints(plan, host)
    if host.is_node:
        http[API] = api_get(plan, host)
    properties = "--property=Id,ActiveState,SubState,ExecMainStatus"
    run = {
        UNITS: RunCommand(
            ("systemctl", "show", properties, *(component.unit for component in _observed(plan, host)))
        )
    }
    if host.is_etcd:
        run |= etcd_questions()
    return Request(http=http, run=run)


def _observed(plan: ClusterPlan, host: HostPlan) -> list[Component]:
    return [component for component in components_of(plan, host) if component.observed]


def _health_get(health: Health, plan: ClusterPlan) -> Get:
    url = f"{health.scheme}://127.0.0.1:{port_number(health.port, plan)}{health.path}"
    if health.client is None:
        return Get(url, ca=health.ca)
    return Get(url, ca=health.ca, cert=f"{health.client}.crt", key=f"{health.client}.key")

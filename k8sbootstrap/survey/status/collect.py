"""Asks the hosts for their status, and combines the answers."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.answers import Answer, Request, RunCommand
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.plan.components import components_of
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.cluster.facts import Facts, Object
from k8sbootstrap.survey.cluster.kubectl import Kubectl
from k8sbootstrap.survey.cluster.observe import look
from k8sbootstrap.survey.cluster.parse import (
    etcd_status,
    etcd_unhealthy,
    internal_ips,
    node_ready,
    unit_states,
)
from k8sbootstrap.survey.cluster.requests import (
    ENDPOINT_HEALTH,
    ENDPOINT_STATUS,
    UNITS,
    health_request,
    units,
)
from k8sbootstrap.survey.status import parse
from k8sbootstrap.survey.status.models import (
    Certificate,
    ClusterStatus,
    ComponentStatus,
    EtcdMemberStatus,
    HostStatus,
    NodeStatus,
)

OS_RELEASE, KERNEL = "os-release", "kernel"
CERTIFICATES = (
    "/etc/kubernetes/pki/*.crt",
    "/etc/kubernetes/pki/etcd/*.crt",
    "/etc/kubernetes/*.conf",
    "/etc/etcd/pki/*.crt",
    "/var/lib/kubelet/pki/kubelet-client-current.pem",
    "/var/lib/kubelet/pki/kubelet-serving.crt",
)
"""Files on hosts whose certificates can expire."""


def status_request(plan: ClusterPlan, host: HostPlan) -> Request:
    """The health request of verify, plus operating system, kernel, versions and certificates."""
    health = health_request(plan, host)
    run = dict(health.run)
    run[OS_RELEASE] = RunCommand(("cat", "/etc/os-release"))
    run[KERNEL] = RunCommand(("uname", "-r"))
    for component in components_of(plan, host):
        if component.observed:
            run[_version_key(component.name)] = RunCommand(component.version_command)
    return replace(health, run=run, certificates=CERTIFICATES)


def collect(plan: ClusterPlan, pool: Pool) -> ClusterStatus:
    """Look at the whole cluster once.

    Args:
        plan: The cluster as it should be.
        pool: Connections to the hosts.

    Raises:
        HostError: when not a single host can be reached.
    """
    hosts = Hosts(pool, (host.ssh for host in plan.hosts))
    facts = look(Facts(plan), hosts, status_request, Kubectl(hosts, [host.name for host in plan.masters]))
    if not facts.answers:
        raise HostError(
            "No host can be reached:\n" + "\n".join(f"  {reason}" for reason in facts.lost.values()),
            "Check the addresses, users and keys in cluster.yaml, and that the hosts are up.",
        )
    return summarize(facts, datetime.now(UTC))


def summarize(facts: Facts, now: datetime) -> ClusterStatus:
    """The status at the time ``now``, computed from facts."""
    plan = facts.plan
    return ClusterStatus(
        cluster=plan.config.name,
        version=plan.release.version,
        api_endpoint=f"https://{plan.api_endpoint}",
        api_error=facts.api_error,
        hosts=tuple(_host(facts, host, now) for host in plan.hosts),
        etcd=tuple(_etcd(facts, host) for host in plan.etcd_members),
        nodes=_nodes(facts),
    )


def _host(facts: Facts, host: HostPlan, now: datetime) -> HostStatus:
    roles = tuple(role for role in ("master", "worker", "etcd") if role in host.roles)
    answer = facts.answers.get(host.name)
    if answer is None:
        return HostStatus(host.name, host.address, roles, reachable=False, error=facts.lost[host.name])
    runtime = facts.plan.config.runtime.name
    return HostStatus(
        name=host.name,
        address=host.address,
        roles=roles,
        reachable=True,
        error="",
        os=parse.os_name(answer.run[OS_RELEASE].stdout),
        kernel=answer.run[KERNEL].stdout.strip(),
        runtime=f"{runtime} {_version(answer, runtime)}".strip() if host.is_node else "",
        components=tuple(_component(answer, name) for name in units(facts.plan, host)),
        certificates=_certificates(answer, now),
    )


def _component(answer: Answer, name: str) -> ComponentStatus:
    state = unit_states(answer.run[UNITS]).get(name, "unknown")
    http = answer.http.get(name)
    message = "" if state.startswith("active ") else f"{name}.service is {state}"
    if http is not None and not http.ok and not message:
        message = http.said
    return ComponentStatus(name, _version(answer, name), not message, message)


def _certificates(answer: Answer, now: datetime) -> tuple[Certificate, ...]:
    found: list[Certificate] = []
    for path, pem in answer.certificates.items():
        with suppress(ValueError):  # it is no certificate: then there is none that could expire
            found += parse.certificates(path, pem, now)
    return tuple(sorted(found, key=lambda certificate: (certificate.not_after, certificate.path)))


def _etcd(facts: Facts, host: HostPlan) -> EtcdMemberStatus:
    answer = facts.answers.get(host.name)
    if answer is None:
        return EtcdMemberStatus(host.name, healthy=False, message="the host cannot be reached")
    trouble = etcd_unhealthy(answer.run[ENDPOINT_HEALTH])
    try:
        status = etcd_status(answer.run[ENDPOINT_STATUS])
    except ValueError as error:
        return EtcdMemberStatus(host.name, healthy=False, message=trouble or str(error))
    return EtcdMemberStatus(
        host=host.name,
        healthy=not trouble,
        message=trouble,
        leader=status.leader == status.member,
        version=status.version,
        db_size=status.db_size,
    )


def _nodes(facts: Facts) -> tuple[NodeStatus, ...]:
    if facts.api_error:
        return ()
    planned = [host.name for host in facts.plan.nodes]
    others = sorted(facts.nodes.keys() - set(planned))
    return tuple(_node(name, facts.nodes.get(name), planned=name in planned) for name in (*planned, *others))


def _node(name: str, node: Object | None, *, planned: bool) -> NodeStatus:
    if node is None:
        return NodeStatus(name, ready=False, message="has not joined", planned=planned)
    trouble = node_ready(node)
    addresses = internal_ips(node)
    return NodeStatus(
        name=name,
        ready=not trouble,
        message=trouble,
        planned=planned,
        schedulable=not node["spec"].get("unschedulable", False),
        version=node["status"]["nodeInfo"]["kubeletVersion"].removeprefix("v"),
        internal_ip=addresses[0] if addresses else "",
        pod_cidr=node["spec"].get("podCIDR", ""),
    )


def _version_key(name: str) -> str:
    return f"version {name}"


def _version(answer: Answer, name: str) -> str:
    ran = answer.run[_version_key(name)]
    return parse.version(ran.stdout) if ran.rc == 0 else ""

"""Asks the hosts for their status, and combines the answers."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.answers import Answer, Request, RunCommand
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.plan.components import components_of
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.certificates import ON_HOSTS
from k8sbootstrap.survey.cluster.facts import Facts, Object
from k8sbootstrap.survey.cluster.kubectl import Kubectl
from k8sbootstrap.survey.cluster.observe import look
from k8sbootstrap.survey.cluster.parse import (
    internal_ips,
    node_ready,
    unit_states,
)
from k8sbootstrap.survey.cluster.requests import (
    UNITS,
    health_request,
    units,
)
from k8sbootstrap.survey.status import parse
from k8sbootstrap.survey.status.etcd import member, snapshots
from k8sbootstrap.survey.status.models import (
    Certificate,
    ClusterStatus,
    ComponentStatus,
    HostStatus,
    NodeStatus,
)

OS_RELEASE, KERNEL, VIRTUAL_IP = "os-release", "kernel", "virtual IP"


def status_request(plan: ClusterPlan, host: HostPlan) -> Request:
    """The health request of verify, plus system, kernel, versions, certificates and the virtual IP."""
    health = health_request(plan, host)
    run = dict(health.run)
    run[OS_RELEASE] = RunCommand(("cat", "/etc/os-release"))
    run[KERNEL] = RunCommand(("uname", "-r"))
    if plan.shares_virtual_ip(host):
        address = f"{plan.config.api.virtual_ip}/32"
        run[VIRTUAL_IP] = RunCommand(("ip", "-o", "-4", "address", "show", "to", address))
    for component in components_of(plan, host):
        if component.observed:
            run[_version_key(component.name)] = RunCommand(component.version_command)
    return replace(health, run=run, certificates=ON_HOSTS)


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
        etcd=tuple(member(facts, host) for host in plan.etcd_members),
        nodes=_nodes(facts),
        etcd_snapshot=next(iter(snapshots(facts)), None),
        virtual_ip=str(plan.config.api.virtual_ip or ""),
        virtual_ip_on=tuple(
            host.name
            for host in facts.up(plan.masters)
            if plan.shares_virtual_ip(host) and facts.answers[host.name].run[VIRTUAL_IP].stdout
        ),
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

"""Observes what the cluster runs now, and what decides whether it can be upgraded."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from k8sbootstrap.errors import VerifyError
from k8sbootstrap.hosts.answers import Answer, Get, Request, RunCommand
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.cluster.facts import Facts
from k8sbootstrap.survey.cluster.kubectl import ADMIN_KUBECONFIG, Kubectl
from k8sbootstrap.survey.cluster.observe import look
from k8sbootstrap.survey.cluster.requests import health_endpoints
from k8sbootstrap.survey.status.collect import status_request, summarize
from k8sbootstrap.survey.status.models import ClusterStatus
from k8sbootstrap.survey.upgrade import parse

CORDONED = "k8sbootstrap.io/cordoned"
"""Annotation of nodes that an upgrade keeps pods off; ``playbooks/module_utils`` sets it."""
_VERSION, _DEPRECATED = "API version", "deprecated APIs"
_PODS = (
    "NS:.metadata.namespace,NAME:.metadata.name,NODE:.spec.nodeName,PHASE:.status.phase,"
    "OWNER:.metadata.ownerReferences[*].kind"
)


@dataclass(frozen=True)
class Running:
    """What the cluster runs at one moment."""

    status: ClusterStatus
    api_servers: Mapping[str, str] = field(default_factory=dict)
    """Release that each API server reports, by master; without those that did not answer."""
    deprecated: tuple[parse.DeprecatedApi, ...] = ()
    """APIs asked for since the API servers started that a later release no longer has."""
    bare_pods: tuple[parse.BarePod, ...] = ()
    """Pods that nothing creates again when they are gone."""
    budgets: tuple[parse.Budget, ...] = ()
    """All PodDisruptionBudgets."""
    cordoned: frozenset[str] = frozenset()
    """Nodes that an upgrade keeps pods off."""

    def versions(self) -> dict[str, dict[str, str]]:
        """Component to host to the Kubernetes release that it runs there.

        Of API servers and kubelets it is what they say of themselves, of the others what is on disk.
        """
        found: dict[str, dict[str, str]] = {"kube-apiserver": dict(self.api_servers)}
        for host in self.status.hosts:
            for component in host.components:
                if component.name in {"kube-controller-manager", "kube-scheduler"}:
                    found.setdefault(component.name, {})[host.name] = parse.version_of(component.version)
        found["kubelet"] = {node.name: parse.version_of(node.version) for node in self.status.nodes}
        said = {name: {host: each for host, each in hosts.items() if each} for name, hosts in found.items()}
        return {name: hosts for name, hosts in said.items() if hosts}

    def etcd(self) -> dict[str, str]:
        """Member's host to the version that it runs."""
        found = {member.host: parse.version_of(member.version) for member in self.status.etcd}
        return {host: version for host, version in found.items() if version}


def look_at(plan: ClusterPlan, pool: Pool) -> Running:
    """Look at the whole cluster once. Changes nothing.

    Args:
        plan: The cluster as it should be.
        pool: Connections to the hosts.
    """
    hosts = Hosts(pool, (host.ssh for host in plan.hosts))
    kubectl = Kubectl(hosts, [host.name for host in plan.masters])
    facts = look(Facts(plan), hosts, _request, kubectl)
    pods, budgets = ((), ()) if facts.api_error else _workload(kubectl)
    return Running(
        status=summarize(facts, datetime.now(UTC)),
        api_servers=_api_servers(facts.answers),
        deprecated=_deprecated(facts.answers),
        bare_pods=pods,
        budgets=budgets,
        cordoned=frozenset(
            name for name, node in facts.nodes.items() if CORDONED in node["metadata"].get("annotations", {})
        ),
    )


def _request(plan: ClusterPlan, host: HostPlan) -> Request:
    """The request of ``status``; for masters also what only an upgrade needs."""
    asked = status_request(plan, host)
    if not host.is_master:
        return asked
    ready = health_endpoints(plan, host)["kube-apiserver"]
    server = f"https://{plan.local_api}"
    script = (
        f"/usr/local/bin/kubectl --kubeconfig={ADMIN_KUBECONFIG} --server={server} --request-timeout=10s"
        f" get --raw /metrics | grep '^{parse.DEPRECATED_METRIC}{{'"
    )
    http: dict[str, Get] = {**asked.http, _VERSION: replace(ready, url=f"{server}/version")}
    return replace(
        asked, http=http, run={**asked.run, _DEPRECATED: RunCommand(("sh", "-c", script), timeout=15)}
    )


def _api_servers(answers: Mapping[str, Answer]) -> dict[str, str]:
    found = {
        host: parse.api_version(answer.http[_VERSION].body)
        for host, answer in answers.items()
        if _VERSION in answer.http and answer.http[_VERSION].ok
    }
    return {host: version for host, version in found.items() if version}


def _deprecated(answers: Mapping[str, Answer]) -> tuple[parse.DeprecatedApi, ...]:
    uses = [
        use
        for answer in answers.values()
        if _DEPRECATED in answer.run
        for use in parse.deprecated_apis(answer.run[_DEPRECATED].stdout)
    ]
    return tuple(dict.fromkeys(uses))


def _workload(kubectl: Kubectl) -> tuple[tuple[parse.BarePod, ...], tuple[parse.Budget, ...]]:
    """Pods that nothing creates again, and budgets; both empty where the API does not answer."""
    try:
        text = kubectl.text("get", "pods", "-A", "--no-headers", "-o", f"custom-columns={_PODS}")
        items: Any = kubectl.json("get", "poddisruptionbudgets", "-A")
    except VerifyError:
        return (), ()
    return parse.bare_pods(text), parse.budgets(items)

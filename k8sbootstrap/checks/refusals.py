"""What would break a cluster that is there: found from what hosts report, before anything is touched."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from k8sbootstrap.errors import K8sBootstrapError, PreflightError
from k8sbootstrap.plan.made_with import made_with
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.resources import shared_rules
from k8sbootstrap.survey.etcd_members import judge_etcd
from k8sbootstrap.survey.record import HostFinding


@dataclass(frozen=True)
class Refusal:
    """One thing that must not be done."""

    text: str
    """What is, what cluster.yaml says, and what that would break."""
    hint: str
    """What to write instead."""


Findings = Mapping[str, HostFinding]
"""By host; those that did not answer are missing."""
Rule = Callable[[ClusterPlan, Findings], Iterator[Refusal]]


def _other_cluster(plan: ClusterPlan, findings: Findings) -> Iterator[Refusal]:
    """Hosts of another cluster, or of this one under another name."""
    for host, found in findings.items():
        if found.cluster not in {"", plan.config.name}:
            yield Refusal(
                f"{host} belongs to the cluster {found.cluster}, and cluster.yaml says name: "
                f"{plan.config.name}. The name can't be changed: another name means a second "
                "cluster with its own CAs",
                f"Set name back to {found.cluster}, or first reset the host with the cluster.yaml "
                f"of {found.cluster}.",
            )


def _fixed_values(plan: ClusterPlan, findings: Findings) -> Iterator[Refusal]:
    """What a cluster and its hosts keep for good. Of the cluster's own values masters are the judges."""
    rules = shared_rules("fixed")
    judges = _judges(plan, findings)
    seen: set[tuple[str, str]] = set()
    for host in plan.hosts:
        found = findings.get(host.name)
        if found is None or found.cluster != plan.config.name:
            continue
        for problem in rules.judge(host.name, dict(found.made_with), made_with(plan, host), "cluster.yaml"):
            key, value = problem["key"], found.made_with[problem["key"]]
            of_cluster = key not in rules.OF_HOST
            if of_cluster and (host.name not in judges or (key, value) in seen):
                continue
            if of_cluster:
                seen.add((key, value))
            if key == rules.ADDRESS and host.is_etcd:
                continue  # judged with etcd's members
            yield Refusal(problem["text"], problem["hint"])


def _calicos_range(plan: ClusterPlan, findings: Findings) -> Iterator[Refusal]:
    """Calico's pool never takes another range, not even a larger one."""
    rules = shared_rules("fixed")
    planned = str(plan.config.network.pod_cidr)
    for host in _judges(plan, findings) if plan.config.network.plugin == "calico" else ():
        before = findings[host].made_with.get(rules.PODS, planned)
        if before != planned:
            yield Refusal(
                f"{host}: its pods are in {before}, and cluster.yaml says {rules.PODS}: {planned}. "
                "This can't be changed: the range of calico's pool of addresses is fixed",
                f"Set {rules.PODS} back to {before}.",
            )
            return


def _needless_proxies(plan: ClusterPlan, findings: Findings) -> Iterator[Refusal]:
    """A kube-proxy runs where the pod network is to do its work."""
    hosts = [host for host in _judges(plan, findings) if "kube_proxy" in findings[host].digests]
    if hosts and not plan.has_kube_proxy:
        yield Refusal(
            f"{hosts[0]}: kube-proxy runs on this host, and cluster.yaml says "
            "network.cilium.kubeProxyReplacement: true. A running cluster can't change from "
            "kube-proxy to cilium",
            "Set network.cilium.kubeProxyReplacement to false, or make a new cluster: "
            "k8sbootstrap reset, then up.",
        )


def _other_roles(plan: ClusterPlan, findings: Findings) -> Iterator[Refusal]:
    """Hosts that are a master, or a node, and are planned as something else."""
    for host in plan.hosts:
        digests = findings[host.name].digests if host.name in findings else {}
        planned = f"cluster.yaml says roles: [{', '.join(sorted(host.roles))}]"
        if "kube_apiserver" in digests and not host.is_master:
            yield Refusal(
                f"{host.name} is a master, and {planned}. Its control plane would keep running",
                f"Give {host.name} the role master again.",
            )
        elif "kubelet" in digests and not host.is_node:
            yield Refusal(
                f"{host.name} is a node, and {planned}. Its kubelet and pods would keep running",
                f"Give {host.name} the role worker again.",
            )


def _etcd(plan: ClusterPlan, findings: Findings, restoring: str) -> Iterator[Refusal]:
    verdict = judge_etcd(plan, {host: finding.etcd for host, finding in findings.items()}, restoring)
    for problem in verdict.problems:
        yield Refusal(problem.text, problem.hint)


RULES: tuple[Rule, ...] = (
    _other_cluster,
    _fixed_values,
    _calicos_range,
    _needless_proxies,
    _other_roles,
)
"""Rules about all but etcd, in the order in which their refusals are named. Those about etcd come last."""


def refusals(plan: ClusterPlan, findings: Findings, restoring: str = "") -> tuple[Refusal, ...]:
    """Everything that must not be done."""
    found = (refusal for rule in RULES for refusal in rule(plan, findings))
    return (*found, *_etcd(plan, findings, restoring))


def require_allowed(
    plan: ClusterPlan,
    findings: Findings,
    lost: Mapping[str, K8sBootstrapError] = MappingProxyType({}),
    *,
    restoring: str = "",
) -> None:
    """Go on only where nothing that is there would break.

    Args:
        plan: What is planned.
        findings: What hosts report.
        lost: Why the others could not be asked: a refusal may be due to that.
        restoring: Id of a restore of etcd that this run continues.

    Raises:
        PreflightError: Names all that would.
    """
    found = refusals(plan, findings, restoring)
    if found:
        raise PreflightError(
            "\n".join(
                [
                    *(each.text for each in found),
                    *(f"not reached: {error}" for error in lost.values()),
                    "Nothing was changed.",
                ]
            ),
            hint="\n".join(refusal.hint for refusal in found),
        )


def _judges(plan: ClusterPlan, findings: Findings) -> tuple[str, ...]:
    """Hosts whose word counts for what all have alike: masters, or the others where no master answers."""
    ours = [host for host in plan.hosts if host.name in findings and findings[host.name].made_with]
    return tuple(host.name for host in ours if host.is_master) or tuple(host.name for host in ours)

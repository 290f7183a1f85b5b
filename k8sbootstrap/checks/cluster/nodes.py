"""Are all planned nodes Ready, at the right version, with the planned address, labels and taints?"""

from collections.abc import Iterable, Iterator

from k8sbootstrap.checks.cluster.shared import NO_NETWORK
from k8sbootstrap.checks.framework import DOWN, Verdict, failed, passed, skipped
from k8sbootstrap.plan.models import CONTROL_PLANE, ClusterPlan, HostPlan
from k8sbootstrap.survey.cluster.facts import Facts, Object
from k8sbootstrap.survey.cluster.parse import internal_ips, node_ready


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per node; one for all when the API does not answer.

    Fix: For a node that is not Ready, run `journalctl -u kubelet -n 50` there. Labels, taints and versions
    that differ: `k8sbootstrap up` sets them. A cordoned node: `k8sbootstrap kubectl uncordon NAME`.
    """
    if facts.api_error:
        yield failed(facts.api_error)
        return
    for host in facts.plan.nodes:
        if host.name in facts.allow_down:
            yield skipped(DOWN).on(host.name)
        elif host.name not in facts.nodes:
            yield failed("has not joined: there is no Node with this name").on(host.name)
        else:
            node = facts.nodes[host.name]
            waits = host.name in facts.without_network
            troubles = _troubles(facts.plan, host, node, [] if waits else [node_ready(node)])
            version = node["status"]["nodeInfo"]["kubeletVersion"]
            if troubles:
                yield failed("; ".join(troubles)).on(host.name)
            elif waits:
                yield skipped(f"kubelet {version} is not Ready: {NO_NETWORK}").on(host.name)
            else:
                yield passed(f"Ready, kubelet {version}").on(host.name)
    planned = {host.name for host in facts.plan.hosts}
    for name in sorted(facts.nodes.keys() - planned):
        yield skipped("this node is not in cluster.yaml and is not checked").on(name)


def _troubles(plan: ClusterPlan, host: HostPlan, node: Object, known: Iterable[str]) -> list[str]:
    status, spec, metadata = node["status"], node["spec"], node["metadata"]
    troubles = [trouble for trouble in known if trouble]
    version, wanted = status["nodeInfo"]["kubeletVersion"], f"v{plan.release.version}"
    if version != wanted:
        troubles.append(f"kubelet {version}, not {wanted}")
    addresses = internal_ips(node)
    if str(host.private_address) not in addresses:
        troubles.append(f"InternalIP {', '.join(addresses) or 'missing'}, not {host.private_address}")
    if spec.get("unschedulable"):
        troubles.append("cordoned")
    taints = {(taint["key"], taint.get("value", ""), taint["effect"]) for taint in spec.get("taints", ())}
    for taint in host.taints:
        if (taint.key, taint.value, taint.effect) not in taints:
            pair = f"{taint.key}={taint.value}" if taint.value else taint.key
            troubles.append(f"taint {pair}:{taint.effect} is missing")
    labels = dict(host.labels)
    if host.is_master:
        labels[CONTROL_PLANE] = ""
    for key, value in labels.items():
        seen = metadata.get("labels", {}).get(key)
        if seen is None:
            troubles.append(f"label {key} is missing")
        elif seen != value:
            troubles.append(f"label {key} is {seen!r}, not {value!r}")
    return troubles

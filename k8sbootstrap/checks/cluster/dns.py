"""Does the pod on each node get the address of a Service from the cluster's DNS?"""

from collections.abc import Iterator

from k8sbootstrap.checks.cluster.shared import per_running_pod
from k8sbootstrap.checks.framework import Verdict, failed, passed, skipped
from k8sbootstrap.checks.workload.traffic import DNS, parse_tries
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.cluster.facts import Facts, Pod, Workload


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per node.

    Fix: Run `k8sbootstrap kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide`. If the check
    pod-network failed too, repair that first.
    """
    if facts.plan.config.dns.name == "none":
        yield skipped("cluster.yaml has no DNS (dns.name: none)")
        return
    server = facts.plan.pod_dns

    def one(host: HostPlan, workload: Workload, pod: Pod) -> Verdict:
        ran = workload.execs.get(host.name)
        tries = parse_tries(ran.stdout if ran else "")
        if tries.pod is None:
            return skipped(f"kubectl exec {pod.name} does not work")
        seen = tries.seen.get(DNS)
        if seen is None or not seen.ok:
            return failed(f"its pod can't resolve names with {server}: {seen.text if seen else 'not tried'}")
        return passed(f"its pod resolves names with {server}: {seen.text}")

    yield from per_running_pod(facts, one)

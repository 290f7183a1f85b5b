"""Does the pod on each node reach the pods on all other nodes by their own addresses?"""

from collections.abc import Iterator

from k8sbootstrap.checks.cluster.shared import per_running_pod
from k8sbootstrap.checks.framework import Verdict, failed, passed, skipped
from k8sbootstrap.checks.workload.traffic import parse_tries
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.cluster.facts import Facts, Pod, Workload


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per node.

    Fix: `k8sbootstrap plan` names routes and packet rules that are missing, `k8sbootstrap up` sets them. Also
    look for firewalls between the nodes ([pod networks](pod-networks.md)).
    """

    def one(host: HostPlan, workload: Workload, pod: Pod) -> Verdict:
        others = {other.node: other for other in workload.running.values() if other.node != host.name}
        if not others:
            return skipped("no other node runs a test pod")
        answer = workload.execs.get(host.name)
        tries = parse_tries(answer.stdout) if answer else None
        if tries is None or tries.pod is None:
            return skipped("its pod could not be tested: kubectl exec failed")
        troubles = []
        for node, other in others.items():
            seen = tries.seen.get(other.ip)
            if seen is None or not seen.ok:
                troubles.append(f"{node} ({other.ip}): {seen.text if seen else 'not tried'}")
            elif seen.text != other.name:
                troubles.append(f"{node} ({other.ip}): answered by {seen.text}, not by {other.name}")
        if troubles:
            return failed(f"its pod {pod.ip} does not reach the pod on {'; on '.join(troubles)}")
        return passed(f"{pod.ip} reaches the pods on {len(others)} other nodes")

    return per_running_pod(facts, one)

"""Does ``kubectl exec`` work in a pod on each node?"""

from collections.abc import Iterator

from k8sbootstrap.checks.cluster.shared import per_running_pod
from k8sbootstrap.checks.framework import Verdict, failed, passed, skipped
from k8sbootstrap.checks.workload.traffic import parse_tries
from k8sbootstrap.hosts.answers import shorten
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.cluster.facts import Facts, Pod, Workload


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per node.

    Fix: The API server must reach the kubelet's port 10250 on that node. Check firewalls between masters and
    nodes.
    """

    def one(host: HostPlan, workload: Workload, pod: Pod) -> Verdict:
        answer = workload.execs.get(host.name)
        if answer is None:
            return skipped("no API server answered")
        tries = parse_tries(answer.stdout)
        if answer.rc != 0 or tries.pod is None:
            return failed(f"kubectl exec {pod.name}: {answer.said}")
        if tries.pod != pod.name:
            return failed(f"exec into {pod.name} reached {shorten(tries.pod)} instead")
        return passed("kubectl exec works")

    return per_running_pod(facts, one)

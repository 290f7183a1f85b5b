"""Does ``kubectl logs`` bring what a pod on each node printed?"""

from collections.abc import Iterator

from k8sbootstrap.checks.cluster.shared import per_running_pod
from k8sbootstrap.checks.framework import Verdict, failed, passed, skipped
from k8sbootstrap.checks.workload.manifests import LOG_LINE
from k8sbootstrap.hosts.answers import shorten
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.cluster.facts import Facts, Pod, Workload


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per node.

    Fix: The API server must reach the kubelet's port 10250 on that node. Check firewalls between masters and
    nodes.
    """

    def one(host: HostPlan, workload: Workload, pod: Pod) -> Verdict:
        answer = workload.logs.get(host.name)
        if answer is None:
            return skipped("no API server answered")
        if answer.rc != 0:
            return failed(f"kubectl logs {pod.name}: {answer.said}")
        if LOG_LINE not in answer.stdout:
            return failed(f"the log does not contain {LOG_LINE!r}: {shorten(answer.stdout) or 'it is empty'}")
        return passed("kubectl logs works")

    return per_running_pod(facts, one)

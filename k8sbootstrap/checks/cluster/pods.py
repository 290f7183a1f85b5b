"""Does a pod run on every node?"""

from collections.abc import Iterator

from k8sbootstrap.checks.cluster.shared import per_node
from k8sbootstrap.checks.framework import Verdict, failed, passed
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.cluster.facts import Facts, Workload


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per node; one for all when the pods could not be created.

    Fix: The message has the pod's own words. Most often the node can't pull the test image: name a mirror
    under `runtime.registries`, or give the image [as a file](runtimes.md).
    """
    if facts.workload is not None and facts.workload.error:
        yield failed(facts.workload.error)
        return

    def one(host: HostPlan, workload: Workload) -> Verdict:
        pod = workload.pods.get(host.name)
        if pod is None:
            return failed("no pod was created for this node; see the log of kube-controller-manager")
        return failed(pod.trouble) if pod.trouble else passed(f"{pod.ip} runs")

    yield from per_node(facts, one)

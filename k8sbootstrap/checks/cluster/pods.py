"""Does a pod run on every node?"""

from collections.abc import Iterator

from k8sbootstrap.checks.cluster.models import CLUSTER, Check, Verdict, failed, passed
from k8sbootstrap.checks.cluster.shared import per_node
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.cluster.facts import Facts, Workload


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per node; one for all when the pods could not be created."""
    if facts.workload is not None and facts.workload.error:
        yield failed(CLUSTER, facts.workload.error)
        return

    def one(host: HostPlan, workload: Workload) -> Verdict:
        pod = workload.pods.get(host.name)
        if pod is None:
            return failed(
                host.name, "no pod was created for this node (kube-controller-manager's logs say why)"
            )
        return failed(host.name, pod.trouble) if pod.trouble else passed(host.name, f"{pod.ip} runs")

    yield from per_node(facts, one)


CHECK = Check("pods", "a pod runs on every node", judge)

"""Does a NodePort answer at every node's address, asked from every host?"""

from collections.abc import Iterator

from k8sbootstrap.checks.cluster.shared import per_node
from k8sbootstrap.checks.framework import Verdict, failed, passed, skipped
from k8sbootstrap.checks.workload.traffic import nodeport_key, nodeport_targets
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.cluster.facts import Facts, Workload


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per asking host.

    Fix: Check firewalls in front of the nodes. If the check service failed too, repair that first.
    """

    def one(host: HostPlan, workload: Workload) -> Verdict:
        if not workload.running:
            return skipped("no test pod runs")
        answer = workload.hosts.get(host.name)
        if answer is None:
            return failed("the host did not answer")
        targets = nodeport_targets(facts, host)
        pods = {pod.name for pod in workload.pods.values()}
        troubles = []
        for target in targets:
            http = answer.http[nodeport_key(target.name)]
            if not http.ok or http.body not in pods:
                place = f"{target.name} ({target.private_address}:{workload.node_port})"
                troubles.append(f"{place}: {http.said}")
        if troubles:
            return failed(f"this host gets no answer from {'; '.join(troubles)}")
        return passed(f"port {workload.node_port} of {len(targets)} nodes")

    return per_node(facts, one)

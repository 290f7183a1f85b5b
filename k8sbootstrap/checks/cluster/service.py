"""Do Services answer at their ClusterIP, from every node's host and from the pod on it?"""

from collections.abc import Iterator, Mapping

from k8sbootstrap.checks.cluster.shared import per_node
from k8sbootstrap.checks.framework import Verdict, failed, passed, skipped
from k8sbootstrap.checks.workload.traffic import API_SERVICE, SERVICE, Tries, parse_tries
from k8sbootstrap.hosts.answers import Answer, shorten
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.cluster.facts import Facts, Workload


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per node.

    Fix: On that node, run `systemctl restart kube-proxy`, then `journalctl -u kube-proxy -n 50`.
    """

    def one(host: HostPlan, workload: Workload) -> Verdict:
        if not workload.running:
            return skipped("no test pod runs")
        answer = workload.hosts.get(host.name)
        if answer is None:
            return failed("the host did not answer")
        names = {
            SERVICE: f"the test Service ({workload.cluster_ip})",
            API_SERVICE: f"the Service kubernetes ({facts.plan.kubernetes_service_ip})",
        }
        troubles = _from_host(names, answer, {pod.name for pod in workload.pods.values()})
        ran = workload.execs.get(host.name)
        tries = parse_tries(ran.stdout if ran else "")
        if tries.pod is not None:
            troubles += _from_pod(names, tries)
        if troubles:
            return failed("; ".join(troubles))
        places = "the host" if tries.pod is None else "the host and its pod"
        return passed(f"{workload.cluster_ip} from {places}")

    return per_node(facts, one)


def _from_host(names: Mapping[str, str], answer: Answer, pods: set[str]) -> list[str]:
    troubles = [
        f"the host does not reach {name}: {answer.http[key].said}"
        for key, name in names.items()
        if not answer.http[key].ok
    ]
    http = answer.http[SERVICE]
    if http.ok and http.body not in pods:
        troubles.append(f"{names[SERVICE]} was answered by {shorten(http.body)!r}, which is not a test pod")
    return troubles


def _from_pod(names: Mapping[str, str], tries: Tries) -> list[str]:
    troubles = []
    for key, name in names.items():
        seen = tries.seen.get(key)
        if seen is None or not seen.ok:
            troubles.append(f"its pod does not reach {name}: {seen.text if seen else 'not tried'}")
    return troubles

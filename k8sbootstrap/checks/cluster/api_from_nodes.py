"""Does every node reach the API the way its own kubelet does?"""

from collections.abc import Iterator

from k8sbootstrap.checks.cluster.shared import per_host
from k8sbootstrap.checks.framework import Verdict, failed, passed
from k8sbootstrap.hosts.answers import Answer
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.cluster.facts import Facts
from k8sbootstrap.survey.cluster.requests import API, api_get


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per node.

    Fix: On that node, run `journalctl -u kubelet -n 50`. On workers also `systemctl status haproxy`.
    """

    def one(host: HostPlan, answer: Answer) -> Verdict:
        url = api_get(facts.plan, host).url
        http = answer.http[API]
        return passed(url) if http.ok else failed(f"{url}: {http.said}")

    return per_host(facts, facts.plan.nodes, one)

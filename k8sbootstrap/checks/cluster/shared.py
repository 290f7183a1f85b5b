"""What checks have in common: which hosts they speak about, and hosts that cannot be asked."""

from collections.abc import Callable, Iterable, Iterator

from k8sbootstrap.checks.framework import DOWN, Verdict, failed, skipped
from k8sbootstrap.hosts.answers import Answer
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.cluster.facts import Facts, Pod, Workload

UNREACHABLE = "cannot be reached over SSH"
NO_NETWORK = "there is no pod network yet, and with network.plugin: none you install it yourself"


def per_host(
    facts: Facts, hosts: Iterable[HostPlan], judge: Callable[[HostPlan, Answer], Verdict]
) -> Iterator[Verdict]:
    """Judge each host by its agent's answer; without one it is skipped when known to be down, else failed."""
    for host in hosts:
        if host.name in facts.allow_down:
            yield skipped(DOWN).on(host.name)
        elif host.name in facts.answers:
            yield judge(host, facts.answers[host.name]).on(host.name)
        else:
            yield failed(UNREACHABLE).on(host.name)


def per_node(facts: Facts, judge: Callable[[HostPlan, Workload], Verdict]) -> Iterator[Verdict]:
    """Judge each node by the test workload."""
    workload = facts.workload
    if workload is None or workload.error or workload.omitted:
        omitted = workload.omitted if workload else ""
        yield skipped(omitted or "there are no test pods")
        return
    for host in facts.plan.nodes:
        if host.name in facts.allow_down:
            yield skipped(DOWN).on(host.name)
        elif host.name in facts.lost:
            yield failed(UNREACHABLE).on(host.name)
        else:
            yield judge(host, workload).on(host.name)


def per_running_pod(facts: Facts, judge: Callable[[HostPlan, Workload, Pod], Verdict]) -> Iterator[Verdict]:
    """Judge each node that has a running test pod; the others' failure is the check ``pods``."""

    def one(host: HostPlan, workload: Workload) -> Verdict:
        pod = workload.running.get(host.name)
        return judge(host, workload, pod) if pod else skipped("its test pod does not run")

    return per_node(facts, one)

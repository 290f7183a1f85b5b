"""Can every host be asked at all?"""

from collections.abc import Iterator

from k8sbootstrap.checks.framework import DOWN, Verdict, failed, passed, skipped
from k8sbootstrap.survey.cluster.facts import Facts


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per host.

    Fix: Start the host, or repair its network. If it is to be down now, add `--allow-down NAME`.
    """
    for host in facts.plan.hosts:
        if host.name in facts.allow_down:
            yield skipped(DOWN).on(host.name)
        elif host.name in facts.lost:
            yield failed(facts.lost[host.name].removeprefix(f"{host.name} ")).on(host.name)
        else:
            yield passed(f"{host.ssh.user}@{host.address} answers").on(host.name)

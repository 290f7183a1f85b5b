"""Can every host be asked at all?"""

from collections.abc import Iterator

from k8sbootstrap.verify.checks.shared import DOWN
from k8sbootstrap.verify.facts import Facts
from k8sbootstrap.verify.models import Check, Verdict, failed, passed, skipped


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per host."""
    for host in facts.plan.hosts:
        if host.name in facts.allow_down:
            yield skipped(host.name, DOWN)
        elif host.name in facts.lost:
            yield failed(host.name, facts.lost[host.name].removeprefix(f"{host.name} "))
        else:
            yield passed(host.name, f"{host.ssh.user}@{host.address} answers")


CHECK = Check("ssh", "hosts answer over SSH", judge)

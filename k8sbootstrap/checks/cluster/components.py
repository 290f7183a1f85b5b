"""Do all components run, and do their health endpoints say so?"""

from collections.abc import Iterator

from k8sbootstrap.checks.cluster.shared import per_host
from k8sbootstrap.checks.framework import Verdict, failed, passed
from k8sbootstrap.hosts.answers import Answer
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.cluster.facts import Facts
from k8sbootstrap.survey.cluster.parse import unit_states
from k8sbootstrap.survey.cluster.requests import UNITS, health_endpoints, units


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict per host.

    Fix: The message names the unit. Run `journalctl -u UNIT -n 50` on that host.
    """

    def one(host: HostPlan, answer: Answer) -> Verdict:
        names = units(facts.plan, host)
        endpoints = health_endpoints(facts.plan, host)
        states = unit_states(answer.run[UNITS])
        troubles = []
        for name in names:
            state = states.get(name, "unknown")
            http = answer.http.get(name) if name in endpoints else None
            if http is not None and not http.ok:
                troubles.append(f"{name}: {endpoints[name].url}: {http.said} ({name}.service is {state})")
            elif not state.startswith("active "):
                troubles.append(f"{name}.service is {state}")
        if troubles:
            return failed("; ".join(troubles))
        return passed(f"{', '.join(names)} healthy")

    return per_host(facts, facts.plan.hosts, one)

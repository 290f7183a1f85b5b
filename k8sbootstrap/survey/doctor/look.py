"""One look at the whole cluster: every host is asked once, in parallel, then one master's API."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from k8sbootstrap.errors import HostError, VerifyError
from k8sbootstrap.formats.text import printable
from k8sbootstrap.hosts.answers import Answer, Request, RunAnswer, RunCommand
from k8sbootstrap.hosts.pool import PARALLEL, Hosts, Pool
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.cluster.kubectl import Kubectl
from k8sbootstrap.survey.doctor.requests import NODES, api_requests, doctor_request

TIMEOUT = 90.0
"""Seconds that a host may take to answer; then it counts as lost."""

Moment = Annotated[float, Field(ge=0, lt=1 << 33)]


@dataclass(frozen=True)
class HostLook:
    """What one host answered, and when it was asked."""

    answer: Answer
    asked: Moment
    """Seconds since 1970 on the clock of the machine that asked, before the question was sent."""
    answered: Moment
    """The same, after the answer came."""


@dataclass(frozen=True)
class ClusterLook:
    """What all hosts and the API answered; without the plan, so that it can be kept in a file."""

    at: Moment
    """When, in seconds since 1970."""
    hosts: Mapping[str, HostLook]
    """By host name, of every host that answered."""
    lost: Mapping[str, str]
    """Hosts that did not, and why."""
    api: Mapping[str, RunAnswer] = field(default_factory=dict)
    """What kubectl printed, by the keys of ``requests.api_requests``."""
    api_error: str = ""
    """Why no API server answered; empty where one did."""
    seconds: float = 0.0
    """How long it took."""


def nothing_more(_plan: ClusterPlan, _host: HostPlan) -> Mapping[str, RunCommand]:
    """No more commands than doctor's own."""
    return {}


def look(
    plan: ClusterPlan,
    pool: Pool,
    more: Callable[[ClusterPlan, HostPlan], Mapping[str, RunCommand]] = nothing_more,
    more_of_api: Mapping[str, RunCommand] = MappingProxyType({}),
) -> ClusterLook:
    """Ask every host, then the API. Changes nothing. Hosts that do not answer are named.

    Args:
        plan: The cluster as it should be.
        pool: Connections to the hosts.
        more: Other commands for a host; their answers are in its answer, by the same keys.
        more_of_api: Other commands for one master.
    """
    hosts, at = Hosts(pool, (host.ssh for host in plan.hosts)), time.time()
    requests = {}
    for host in plan.hosts:
        own = doctor_request(plan, host)
        requests[host.name] = replace(own, run={**more(plan, host), **own.run})
    seen = ask_all(hosts, requests)
    api, error = _ask_api(plan, hosts, seen, {**more_of_api, **api_requests()})
    return ClusterLook(at, seen, dict(hosts.lost), api, error, round(max(0.0, time.time() - at), 3))


def require_any(seen: ClusterLook) -> None:
    """See that something can be said at all.

    Raises:
        HostError: Not a single host answered.
    """
    if not seen.hosts:
        reasons = "\n".join(f"  {printable(reason)}" for reason in seen.lost.values())
        raise HostError(
            f"No host can be reached:\n{reasons}",
            "Check the network of this machine first. Then check that the hosts are up, and the addresses, "
            "users and keys in cluster.yaml.",
        )


def ask_all(hosts: Hosts, requests: Mapping[str, Request], timeout: float = TIMEOUT) -> dict[str, HostLook]:
    """Ask many hosts in parallel; those that could not answer are absent and named in ``hosts.lost``.

    Args:
        hosts: Connections to the hosts.
        requests: By host name.
        timeout: Seconds that each may take.
    """

    def ask(name: str) -> HostLook | None:
        asked = time.time()
        try:
            return HostLook(hosts.ask(name, requests[name], timeout=timeout), asked, time.time())
        except HostError:
            return None

    with ThreadPoolExecutor(PARALLEL) as threads:
        return {name: seen for name, seen in zip(requests, threads.map(ask, requests), strict=True) if seen}


def _ask_api(
    plan: ClusterPlan, hosts: Hosts, seen: Mapping[str, HostLook], requests: Mapping[str, RunCommand]
) -> tuple[dict[str, RunAnswer], str]:
    masters = [host for host in plan.masters if host.name in seen]
    if not masters:
        return {}, "no master can be reached"
    masters.sort(key=lambda host: not _serves(host, seen))
    kubectl = Kubectl(hosts, [host.name for host in masters])
    try:
        answers = kubectl.batch(requests, timeout=TIMEOUT)
    except VerifyError as error:
        return {}, str(error)
    nodes = answers[NODES]
    return (answers, "") if nodes.rc == 0 else ({}, nodes.said)


def _serves(host: HostPlan, seen: Mapping[str, HostLook]) -> bool:
    answer = seen[host.name].answer.http.get("kube-apiserver")
    return answer is not None and answer.ok

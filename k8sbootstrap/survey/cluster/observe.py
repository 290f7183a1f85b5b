"""Observes the cluster once: asks every host about itself, and the API about its nodes."""

from collections.abc import Callable
from dataclasses import replace

from k8sbootstrap.errors import VerifyError
from k8sbootstrap.hosts.answers import Request
from k8sbootstrap.hosts.pool import Hosts
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.cluster.facts import Facts
from k8sbootstrap.survey.cluster.kubectl import Kubectl


def look(
    facts: Facts, hosts: Hosts, request: Callable[[ClusterPlan, HostPlan], Request], kubectl: Kubectl
) -> Facts:
    """Ask every host that is not known to be down, then the API.

    Args:
        facts: What was known before; its plan and allowed hosts stay.
        hosts: Connections to the hosts.
        request: What to ask a host.
        kubectl: Runs kubectl; told which masters have a good API server.
    """
    requests = {
        host.name: request(facts.plan, host)
        for host in facts.plan.hosts
        if host.name not in facts.allow_down and host.name not in hosts.lost
    }
    answers = hosts.ask_all(requests)
    kubectl.prefer(
        [name for name, answer in answers.items() if (http := answer.http.get("kube-apiserver")) and http.ok]
    )
    nodes, api_error = {}, ""
    try:
        nodes = {item["metadata"]["name"]: item for item in kubectl.json("get", "nodes")["items"]}
    except VerifyError as error:
        api_error = str(error)
    return replace(facts, answers=answers, lost=dict(hosts.lost), nodes=nodes, api_error=api_error)

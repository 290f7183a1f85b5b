"""What is tried through the test workload, from every host and from every pod, and how pods report it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from k8sbootstrap.checks.workload.manifests import PORT
from k8sbootstrap.hosts.answers import Get, Request, RunCommand
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.cluster.facts import Facts, Pod, Workload
from k8sbootstrap.survey.cluster.kubectl import argv
from k8sbootstrap.survey.cluster.requests import kubernetes_service_get

SERVICE = "service"
"""Key of the test Service's ClusterIP."""
DNS = "dns"
"""Key of the look-up of the name of the Service ``kubernetes``."""
API_SERVICE = "kubernetes"
"""Key of the ClusterIP of the Service ``kubernetes``."""
WITHIN = 10.0
"""Seconds that a Service may take to work: kube-proxies learn of it while it is being asked."""
NODEPORT_SAMPLE = 10
"""Nodes that each host asks at most; larger clusters are covered by everyone asking different ones."""

_POD_SCRIPT = """\
set -f
ask() {
  end=$(($(date +%s) + 10))
  until out=$(timeout 3 wget -q -O - "$2" 2>&1); do
    case $out in *"400 Bad Request"*) break;; esac
    if [ "$(date +%s)" -ge $end ]; then echo "FAILED $1" ${out:-no answer in 3 s}; return; fi
    sleep 1
  done
  echo "OK $1" $out
}
resolve() {
  end=$(($(date +%s) + 10))
  until out=$(timeout 3 nslookup -type=a "$1" 2>&1); case "$out " in *"$2"[!0-9.]*) true;; *) false;; esac
  do
    if [ "$(date +%s)" -ge $end ]; then echo "FAILED dns" ${out:-no answer in 3 s}; return; fi
    sleep 1
  done
  echo "OK dns $2"
}
[ "$1" = - ] || resolve "${1%%=*}" "${1#*=}" &
shift
for target in "$@"; do ask "${target%%=*}" "${target#*=}" & done
wait
echo "POD $POD_NAME"
"""
"""Looks NAME=ADDRESS up (- for none) and asks every KEY=URL, for up to 10 seconds each.

The API server, spoken to without TLS, says 400: the way there works. wget's own timeout is not used: it
crashes the busybox of some distributions.
"""


@dataclass(frozen=True)
class Try:
    """One request from a pod."""

    ok: bool
    text: str
    """The answer, or wget's words."""


@dataclass(frozen=True)
class Tries:
    """All requests from one pod."""

    pod: str | None
    """Name that the pod gives itself; None when it did not come to the end."""
    seen: Mapping[str, Try] = field(default_factory=dict)
    """Address of a pod, or ``SERVICE``, ``API_SERVICE`` or ``DNS``, to what happened."""


def parse_tries(text: str) -> Tries:
    """Read what the pod script printed."""
    pod = None
    seen = {}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "POD":
            pod = rest
        elif word in {"OK", "FAILED"}:
            key, _, said = rest.partition(" ")
            seen[key] = Try(word == "OK", said)
    return Tries(pod, seen)


def pod_command(facts: Facts, workload: Workload, pod: Pod) -> RunCommand:
    """The kubectl command that has one pod ask the DNS, all other pods and both Services."""
    name = f"kubernetes.default.svc.{facts.plan.config.network.dns_domain}"
    look_up = "-" if facts.plan.config.dns.name == "none" else f"{name}={facts.plan.kubernetes_service_ip}"
    targets = [
        *(f"{other.ip}=http://{other.ip}:{PORT}/" for other in workload.running.values() if other != pod),
        f"{SERVICE}=http://{workload.cluster_ip}/",
        f"{API_SERVICE}=http://{facts.plan.kubernetes_service_ip}:443/",
    ]
    command = argv("--namespace", workload.namespace, "exec", pod.name, "--", "sh", "-c", _POD_SCRIPT, "ask")
    return RunCommand((*command, look_up, *targets), timeout=30)


def logs_command(workload: Workload, pod: Pod) -> RunCommand:
    """The kubectl command that brings one pod's log."""
    return RunCommand(argv("--namespace", workload.namespace, "logs", pod.name), timeout=15)


def nodeport_targets(facts: Facts, host: HostPlan) -> list[HostPlan]:
    """The nodes whose NodePort ``host`` asks: all that are up; in a large cluster itself and the next."""
    nodes = list(facts.live_nodes)
    if len(nodes) <= NODEPORT_SAMPLE:
        return nodes
    start = nodes.index(host)
    return (nodes[start:] + nodes[:start])[:NODEPORT_SAMPLE]


def nodeport_key(node: str) -> str:
    """Key of the request for one node's NodePort."""
    return f"nodeport {node}"


def host_request(facts: Facts, workload: Workload, host: HostPlan) -> Request:
    """What one host asks from its own network namespace."""
    http = {
        SERVICE: Get(f"http://{workload.cluster_ip}/", within=WITHIN),
        API_SERVICE: _patient(kubernetes_service_get(facts.plan)),
    }
    for target in nodeport_targets(facts, host):
        url = f"http://{target.private_address}:{workload.node_port}/"
        http[nodeport_key(target.name)] = Get(url, within=WITHIN)
    return Request(http=http)


def _patient(get: Get) -> Get:
    return Get(get.url, ca=get.ca, cert=get.cert, key=get.key, within=WITHIN)

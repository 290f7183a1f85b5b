"""All that is known about a running cluster at one moment. Checks read nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from k8sbootstrap.hosts.answers import Answer, RunAnswer
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.cluster.parse import awaits_network

Object = Mapping[str, Any]
"""A Kubernetes object as JSON."""


@dataclass(frozen=True)
class Pod:
    """The test pod of one node."""

    name: str
    node: str
    ip: str
    running: bool
    trouble: str
    """Why it does not run; empty when it does."""


@dataclass(frozen=True)
class Workload:
    """The test pods, the Service in front of them, and what went through both."""

    namespace: str
    pods: Mapping[str, Pod] = field(default_factory=dict)
    """The pod of each node, by node name."""
    cluster_ip: str = ""
    node_port: int = 0
    error: str = ""
    """Why the workload could not be created; empty when it was."""
    omitted: str = ""
    """Why it was not created on purpose; empty when it was to be created."""
    logs: Mapping[str, RunAnswer] = field(default_factory=dict)
    """``kubectl logs`` of each node's pod, by node name."""
    execs: Mapping[str, RunAnswer] = field(default_factory=dict)
    """``kubectl exec`` in each node's pod, which tries all addresses from there; by node name."""
    hosts: Mapping[str, Answer] = field(default_factory=dict)
    """What each node's host reached (see ``traffic``), by node name."""

    @property
    def running(self) -> dict[str, Pod]:
        """The pods that run, by node name."""
        return {node: pod for node, pod in self.pods.items() if pod.running}


@dataclass(frozen=True)
class Facts:
    """The state of the cluster at one moment."""

    plan: ClusterPlan
    allow_down: frozenset[str] = frozenset()
    """Hosts that are known to be down."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Hosts that cannot be reached over SSH, and why."""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    """Answer of each host about its health, by host name."""
    nodes: Mapping[str, Object] = field(default_factory=dict)
    """Node objects by node name."""
    api_error: str = ""
    """Why no master's kubectl got an answer from the API; empty when one did."""
    workload: Workload | None = None
    leftover: str | None = None
    """What could not be removed afterwards and why; empty when nothing is left, None before it was tried."""

    @property
    def live_nodes(self) -> tuple[HostPlan, ...]:
        """Nodes whose host answers and is not known to be down."""
        out = self.allow_down | self.lost.keys()
        return tuple(host for host in self.plan.nodes if host.name not in out)

    @property
    def without_network(self) -> frozenset[str]:
        """Nodes that only wait for the pod network that cluster.yaml leaves to others."""
        if self.plan.config.network.plugin != "none":
            return frozenset()
        return frozenset(name for name, node in self.nodes.items() if awaits_network(node))

    def up(self, hosts: tuple[HostPlan, ...]) -> list[HostPlan]:
        """Those of ``hosts`` that answered."""
        return [host for host in hosts if host.name in self.answers]

"""The checks, in the order in which they run. Adding one is adding its file and a line here."""

from k8sbootstrap.checks.cluster import (
    api_from_nodes,
    cleanup,
    components,
    dns,
    etcd,
    exec_,
    logs,
    nodeport,
    nodes,
    pod_network,
    pods,
    service,
    ssh,
)
from k8sbootstrap.checks.framework import Check

HEALTH_CHECKS = (
    Check("ssh", ssh.judge, "hosts answer over SSH", settles=True),
    Check("components", components.judge, "components are healthy", settles=True),
    Check("etcd", etcd.judge, "etcd has quorum and one leader", settles=True),
    Check("api-from-nodes", api_from_nodes.judge, "nodes reach the API", settles=True),
    Check("nodes", nodes.judge, "nodes are Ready and as planned", settles=True),
)
"""Checks of the cluster as it stands; these are verify's short form."""
POD_CHECKS = (Check("pods", pods.judge, "a pod runs on every node"),)
"""Checks of the test pods."""
TRAFFIC_CHECKS = (
    Check("exec", exec_.judge, "kubectl exec works"),
    Check("logs", logs.judge, "kubectl logs works"),
    Check("pod-network", pod_network.judge, "pods reach each other across nodes"),
    Check("service", service.judge, "Services answer on every node"),
    Check("dns", dns.judge, "pods get names from the cluster's DNS"),
    Check("nodeport", nodeport.judge, "NodePorts answer on every node"),
)
"""Checks of what goes through the test pods."""
CLEANUP_CHECKS = (Check("cleanup", cleanup.judge, "verify leaves nothing behind"),)
"""Checks of what is left afterwards."""
ALL_CHECKS = (*HEALTH_CHECKS, *POD_CHECKS, *TRAFFIC_CHECKS, *CLEANUP_CHECKS)
"""Every check, in the order in which they run."""

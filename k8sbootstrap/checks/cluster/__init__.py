"""The checks, one small file each. Adding one is adding its file and its name here."""

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

HEALTH_CHECKS = (ssh.CHECK, components.CHECK, etcd.CHECK, api_from_nodes.CHECK, nodes.CHECK)
"""Of the cluster as it stands; these are verify's short form."""
POD_CHECKS = (pods.CHECK,)
"""Of the test pods."""
TRAFFIC_CHECKS = (exec_.CHECK, logs.CHECK, pod_network.CHECK, service.CHECK, dns.CHECK, nodeport.CHECK)
"""Of what goes through the test pods."""
CLEANUP_CHECKS = (cleanup.CHECK,)
"""Of what is left afterwards."""
ALL_CHECKS = (*HEALTH_CHECKS, *POD_CHECKS, *TRAFFIC_CHECKS, *CLEANUP_CHECKS)
"""Every check, in the order in which they run."""

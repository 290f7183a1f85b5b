"""A cluster in one line."""

from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.formats.text import count


def summary(config: Cluster) -> str:
    """Count the hosts by role and name the release and the runtime.

    Returns:
        For example ``3 masters, 2 workers, Kubernetes 1.36.2, docker``.
    """
    counts = {role: sum(role in host.roles for host in config.hosts) for role in ("master", "worker", "etcd")}
    parts = [_count(counts["master"], "master"), _count(counts["worker"], "worker")]
    if counts["etcd"]:
        parts.append(_count(counts["etcd"], "etcd member"))
    return ", ".join([*parts, f"Kubernetes {config.kubernetes.version}", config.runtime.name])


def _count(number: int, noun: str) -> str:
    return count(number, noun) if number else f"no {noun}s"

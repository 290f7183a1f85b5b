"""The phases of ``up`` as data, in the order in which ``playbooks/site.yml`` imports their playbooks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """One part of bringing a cluster up, with a playbook of its own that can run alone.

    Args:
        name: File name of its playbook without the suffix; events carry it.
        title: What the reader of the progress display sees.
    """

    name: str
    title: str

    @property
    def playbook(self) -> str:
        """File name of the playbook, under ``playbooks/``."""
        return f"{self.name}.yml"


PHASES = (
    Phase("host", "Prepare hosts"),
    Phase("container_runtime", "Container runtime"),
    Phase("etcd", "etcd"),
    Phase("control_plane", "Control plane"),
    Phase("kubelet", "Join nodes"),
    Phase("pod_network", "Pod network"),
    # after the pod network, which waits for nodes to register: kube-proxy looks for its own ever more rarely
    Phase("kube_proxy", "kube-proxy"),
)

_TITLES = {phase.name: phase.title for phase in PHASES}


def title(name: str) -> str:
    """What to call the phase ``name``; playbooks that are not part of ``up`` go by their own name."""
    return _TITLES.get(name, name)

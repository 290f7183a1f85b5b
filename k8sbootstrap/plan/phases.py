"""The phases of ``up`` as data, in the order in which ``playbooks/site.yml`` imports their playbooks."""

from dataclasses import dataclass

from k8sbootstrap.plan.components import components_of
from k8sbootstrap.plan.models import ClusterPlan, HostPlan


@dataclass(frozen=True)
class Phase:
    """One part of bringing a cluster up, with a playbook of its own that can run alone.

    Args:
        name: File name of its playbook without the suffix; events carry it.
        title: What the reader of the progress display sees.
        roles: Its roles, in their order. The playbook of ``host`` also begins with ``packages``, which
            belongs to a later phase.
    """

    name: str
    title: str
    roles: tuple[str, ...]

    @property
    def playbook(self) -> str:
        """File name of the playbook, under ``playbooks/``."""
        return f"{self.name}.yml"


PHASES = (
    Phase("host", "Prepare hosts", ("host",)),
    Phase("etcd", "etcd", ("etcd",)),
    Phase(
        "control_plane",
        "Control plane",
        # kube-controller-manager early: some releases need 10 s until they approve certificates of nodes
        ("kube_apiserver", "kube_controller_manager", "kube_scheduler", "cluster_rbac"),
    ),
    Phase("packages", "Packages", ("packages",)),
    Phase("image_registry", "Image registry", ("image_registry",)),
    Phase("container_runtime", "Container runtime", ("container_runtime",)),
    Phase("kubelet", "Join nodes", ("api_loadbalancer", "api_virtual_ip", "kubelet")),
    Phase("pod_network", "Pod network", ("pod_network", "node_settings")),
    # after the pod network, which waits for nodes to register: kube-proxy looks for its own ever more rarely
    Phase("kube_proxy", "kube-proxy", ("kube_proxy", "retired")),
    Phase("addons", "Addons", ("addons",)),
)

UPGRADE = Phase(
    "upgrade", "Upgrade nodes", ("node_drain", "container_runtime", "kubelet", "kube_proxy", "node_uncordon")
)
"""Comes after the control plane where nodes run another release: they do these roles here, a few at a time,
and not in the phases of PHASES."""
UNCORDON = Phase("uncordon", "Let pods on nodes again", ("node_uncordon",))
"""Comes after kube-proxy where a command that was stopped left nodes cordoned."""
CORDONING = ("remove", "reboot", "stop")
"""Commands that cordon a node. Its annotation k8sbootstrap.io/cordoned begins with the command, or is the
release that the node gets by an upgrade."""
NODE_ROLES = ("container_runtime", "kubelet", "kube_proxy")

CLUSTER_ROLES = ("cluster_rbac", "node_settings", "addons")
"""Roles that change objects of Kubernetes: they run on one master for all."""
OF_ALL_HOSTS = (
    "host",
    "etcd",
    "kube_apiserver",
    "image_registry",
    "api_loadbalancer",
    "api_virtual_ip",
    "pod_network",
    "node_settings",
    "addons",
)
"""Roles that name other hosts on each host: they run on hosts that stay when others leave."""
COPY_CERTIFICATES = (
    "etcd",
    "kube_apiserver",
    "kube_controller_manager",
    "kube_scheduler",
    "image_registry",
    "kubelet",
)
"""Roles that copy certificates to hosts, other than those of CAs."""
RETIRABLE = ("image_registry", "api_loadbalancer", "api_virtual_ip")
"""Roles that a host may no longer need. The role ``retired`` removes them, and runs on such hosts alone."""

_TITLES = {phase.name: phase.title for phase in (*PHASES, UPGRADE, UNCORDON)}


def title(name: str) -> str:
    """The title of the phase ``name``; a playbook that is not part of ``up`` has its own name as title."""
    return _TITLES.get(name, name)


def runs_on(role: str, plan: ClusterPlan, host: HostPlan) -> bool:
    """Whether a role is for this host; its play's ``hosts`` and ``when`` say the same to Ansible.

    Roles that only drain and uncordon leave nothing on hosts, and are for none.
    """
    if role in {"host", "packages"}:
        return True
    if role in CLUSTER_ROLES:
        return host.is_master
    if role == "pod_network":
        return host.is_node
    return any(component.role == role for component in components_of(plan, host))

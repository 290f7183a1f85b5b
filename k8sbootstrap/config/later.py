"""What each key of cluster.yaml may become once the cluster is there.

``up`` and ``plan`` refuse by fixed.py and kube/etcd_rules.py in playbooks/module_utils/k8sbootstrap, and by
k8sbootstrap/checks/refusals.py; this is the page about it.
"""

from collections.abc import Mapping

ANY = "*"
"""Stands for all keys of an object that are not named."""
FREE = "yes"
RESTARTS = "yes, restarts"
DRAIN = "yes, drain first"
NO = "no"
_CLIENT = (FREE, "Only this program uses it; nothing changes on hosts.")

LATER: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Cluster": {
        "apiVersion": (NO, "It has one value."),
        "kind": (NO, "It has one value."),
        "name": (NO, "Another name is another cluster, with CAs of its own."),
        "hosts": (
            FREE,
            "Workers can be added. Those taken out stay nodes until they are removed on purpose.",
        ),
        "manifests": (FREE, "Objects are applied, and those that are no longer wanted removed."),
        "hooks": _CLIENT,
        ANY: (FREE, "See its keys below."),
    },
    "Kubernetes": {
        "version": (RESTARTS, "It is an upgrade, within the rules of upgrades."),
        "extraArgs": (
            RESTARTS,
            """Components restart, API servers and etcd one host at a time. Refused are other values of
            kube-apiserver's service-account-issuer (all tokens would become invalid) and etcd-prefix (no
            object would be found). Drain a node before you change kubelet's root-dir.""",
        ),
        "extraConfig": (RESTARTS, "Components restart."),
    },
    "Host": {
        "name": (NO, "The host is the node of its name."),
        "address": (FREE, "Where SSH goes. The admin kubeconfig and certificates follow."),
        "privateAddress": (
            RESTARTS,
            "A worker's: its kubelet restarts, and routes follow. Refused for masters and hosts of etcd.",
        ),
        "roles": (NO, "A worker can't become a master or hold etcd yet, nor the other way round."),
        "arch": (NO, "It is what the host is."),
        "labels": (FREE, "They are set, and those that were set before and are gone here are removed."),
        "taints": (RESTARTS, "They are set as labels are; the kubelet restarts."),
        "ssh": _CLIENT,
    },
    "SSH": {ANY: _CLIENT},
    "Bastion": {ANY: _CLIENT},
    "EnvSecret": {ANY: _CLIENT},
    "FileSecret": {ANY: _CLIENT},
    "OwnRelease": {ANY: (RESTARTS, "Components with other files restart, as in an upgrade.")},
    "OwnFile": {ANY: (RESTARTS, "Components with other files restart, as in an upgrade.")},
    "Runtime": {
        "name": (NO, "Containers of the old runtime would run on, unseen by the kubelet."),
        "source": (DRAIN, "containerd restarts with other programs; containers run on."),
        "registries": (FREE, "Nothing restarts, but docker for its mirrors."),
        "images": (FREE, "They are loaded."),
        "docker": (FREE, "See its keys below."),
    },
    "Registry": {ANY: (FREE, "Nothing restarts, but docker for its mirrors.")},
    "Docker": {
        "dataRoot": (DRAIN, "docker finds no images and containers in a new folder, and restarts."),
        ANY: (RESTARTS, "docker restarts; with liveRestore containers run on."),
    },
    "ImageRegistry": {
        "host": (FREE, "It is set up there, filled, and taken off the old host."),
        "dataFolder": (RESTARTS, "The new folder is filled; the old one stays as it is."),
        ANY: (RESTARTS, "The registry restarts; nodes follow."),
    },
    "Network": {
        "plugin": (NO, "Pods would keep addresses that nobody routes. Only none can become another."),
        "podCIDR": (RESTARTS, "It can only become a range around the old one; with calico not even that."),
        "serviceCIDR": (NO, "Services keep their addresses, the API's own and the DNS's among them."),
        "nodeCIDRMaskSize": (NO, "Nodes keep the ranges that they have."),
        "kubeProxyMode": (RESTARTS, "kube-proxy restarts and removes the rules of the other mode."),
        "dnsDomain": (NO, "Names that pods use would not resolve, and all tokens have it in their issuer."),
        ANY: (FREE, "See its keys below."),
    },
    "Flannel": {ANY: (RESTARTS, "Its pods are replaced, one node after the other.")},
    "Calico": {ANY: (RESTARTS, "Its pods are replaced, one node after the other.")},
    "Cilium": {
        "ipam": (NO, "Pods would keep addresses of the old ranges."),
        "kubeProxyReplacement": (RESTARTS, "It can be switched off, and not on where kube-proxy runs."),
        ANY: (RESTARTS, "Its pods are replaced, one node after the other."),
    },
    "Dns": {
        "nodeLocalCache": (RESTARTS, "Kubelets restart; pods that run keep the server that they have."),
        ANY: (FREE, "CoreDNS's objects are applied anew."),
    },
    "DnsAutoscale": {ANY: (FREE, "Objects are applied anew.")},
    "Api": {
        "endpoint": (RESTARTS, "Nodes' kubelets and kube-proxies restart; the certificate follows."),
        "port": (RESTARTS, "API servers restart one at a time, then all their clients."),
        "extraSANs": (RESTARTS, "API servers get a new certificate."),
    },
    "Artifacts": {ANY: _CLIENT},
    "DirectorySource": {ANY: _CLIENT},
    "MirrorSource": {ANY: _CLIENT},
    "Proxy": {ANY: (RESTARTS, "The container runtime restarts.")},
    "Upgrade": {ANY: _CLIENT},
    "Hook": {ANY: _CLIENT},
    "Taint": {ANY: (RESTARTS, "See taints of hosts.")},
    "FileManifest": {ANY: (FREE, "Objects follow.")},
    "DirectoryManifest": {ANY: (FREE, "Objects follow.")},
    "UrlManifest": {ANY: (FREE, "Objects follow.")},
    "ChartManifest": {ANY: (FREE, "Objects follow.")},
}
"""Object → key → whether it can be changed, and what happens then or would happen."""


def of_key(obj: str, key: str) -> tuple[str, str]:
    """Whether a key can be changed later, and what happens then.

    Raises:
        KeyError: The table has no entry for it.
    """
    keys = LATER[obj]
    may, why = keys[key] if key in keys else keys[ANY]
    return may, " ".join(why.split())

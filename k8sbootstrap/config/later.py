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
_CLIENT = (FREE, "Only k8sbootstrap uses it; nothing changes on hosts.")

LATER: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Cluster": {
        "apiVersion": (NO, "It has only one value."),
        "kind": (NO, "It has only one value."),
        "name": (NO, "Another name means another cluster, with its own CAs."),
        "hosts": (
            FREE,
            "Hosts can be added. Take one out with k8sbootstrap remove or up --prune; else it stays.",
        ),
        "manifests": (FREE, "Objects are applied. Objects that are no longer in the manifests are removed."),
        "hooks": _CLIENT,
        ANY: (FREE, "See its keys below."),
    },
    "Kubernetes": {
        "version": (RESTARTS, "It is an upgrade and follows the rules of upgrades."),
        "extraArgs": (
            RESTARTS,
            """Components restart, API servers and etcd one host at a time. Other values are refused for
            kube-apiserver's service-account-issuer (all tokens would become invalid) and etcd-prefix (no
            object would be found). Drain a node before you change kubelet's root-dir.""",
        ),
        "extraConfig": (RESTARTS, "Components restart."),
    },
    "Host": {
        "name": (NO, "The host is the node of its name. Remove the host, and add it under the new name."),
        "address": (FREE, "SSH uses it. The admin kubeconfig and certificates change too."),
        "privateAddress": (
            RESTARTS,
            """The worker's kubelet restarts and routes change. Refused for masters and hosts of etcd: remove
            the host, and add it with the new address.""",
        ),
        "roles": (
            NO,
            "A worker can become a master. Masters and hosts of etcd can't become something else yet.",
        ),
        "arch": (NO, "It is the architecture of the host."),
        "labels": (FREE, "They are set. Labels that you remove here are removed from the node."),
        "taints": (FREE, "They are set and removed like labels."),
        "ssh": _CLIENT,
    },
    "SSH": {ANY: _CLIENT},
    "Bastion": {ANY: _CLIENT},
    "EnvSecret": {ANY: _CLIENT},
    "FileSecret": {ANY: _CLIENT},
    "OwnRelease": {ANY: (RESTARTS, "Components whose files change restart, as in an upgrade.")},
    "OwnFile": {ANY: (RESTARTS, "Components whose files change restart, as in an upgrade.")},
    "Runtime": {
        "name": (NO, "Containers of the old runtime would keep running, and the kubelet would not see them."),
        "source": (DRAIN, "containerd restarts with other programs; containers keep running."),
        "registries": (FREE, "Nothing restarts, except docker if its mirrors change."),
        "images": (FREE, "They are loaded."),
        "docker": (FREE, "See its keys below."),
    },
    "Registry": {ANY: (FREE, "Nothing restarts, except docker if its mirrors change.")},
    "Docker": {
        "dataRoot": (DRAIN, "docker restarts. In a new directory it has no images and containers."),
        ANY: (RESTARTS, "docker restarts; with liveRestore containers keep running."),
    },
    "ImageRegistry": {
        "host": (FREE, "The registry is installed and filled on the new host, and removed from the old one."),
        "dataFolder": (RESTARTS, "The new directory is filled; the old one is not changed."),
        ANY: (RESTARTS, "The registry restarts; the configuration of nodes changes too."),
    },
    "Network": {
        "plugin": (
            NO,
            "Pods would keep addresses that are not routed. Only none can change to another plugin.",
        ),
        "podCIDR": (
            RESTARTS,
            "It can only change to a larger range that contains the old one. With calico it can't change.",
        ),
        "serviceCIDR": (NO, "Services keep their addresses, also those of the API and the DNS."),
        "nodeCIDRMaskSize": (NO, "Nodes keep their ranges."),
        "kubeProxyMode": (RESTARTS, "kube-proxy restarts and removes the rules of the old mode."),
        "dnsDomain": (
            NO,
            "Names that pods use would not resolve. It is also part of the issuer of all tokens.",
        ),
        ANY: (FREE, "See its keys below."),
    },
    "Flannel": {ANY: (RESTARTS, "Its pods are replaced, one node after the other.")},
    "Calico": {ANY: (RESTARTS, "Its pods are replaced, one node after the other.")},
    "Cilium": {
        "ipam": (NO, "Pods would keep addresses of the old ranges."),
        "kubeProxyReplacement": (
            RESTARTS,
            "It can be switched off. It can't be switched on where kube-proxy runs.",
        ),
        ANY: (RESTARTS, "Its pods are replaced, one node after the other."),
    },
    "Dns": {
        "nodeLocalCache": (RESTARTS, "Kubelets restart; running pods keep their DNS server."),
        ANY: (FREE, "CoreDNS's objects are applied again."),
    },
    "DnsAutoscale": {ANY: (FREE, "Objects are applied again.")},
    "Api": {
        "endpoint": (RESTARTS, "Kubelets and kube-proxies restart; the certificate changes too."),
        "virtualIP": (
            FREE,
            """The admin kubeconfig and the API server's certificate change. Copies of the kubeconfig that
            name the old address don't work any more.""",
        ),
        "port": (RESTARTS, "API servers restart one at a time. Then all their clients restart."),
        "extraSANs": (RESTARTS, "API servers get a new certificate."),
        "authentication": (
            FREE,
            """API servers read a changed file again without a restart. They restart, one at a time, when the
            key is added or removed.""",
        ),
    },
    "Etcd": {ANY: (FREE, "See its keys below.")},
    "SnapshotBucket": {ANY: (FREE, "The timer on hosts of etcd changes; etcd does not restart.")},
    "EtcdSnapshots": {ANY: (FREE, "The timer on hosts of etcd changes; etcd does not restart.")},
    "Artifacts": {ANY: _CLIENT},
    "DirectorySource": {ANY: _CLIENT},
    "MirrorSource": {ANY: _CLIENT},
    "Proxy": {ANY: (RESTARTS, "The container runtime restarts.")},
    "Upgrade": {ANY: _CLIENT},
    "Hook": {ANY: _CLIENT},
    "Taint": {ANY: (FREE, "See taints of hosts.")},
    "FileManifest": {ANY: (FREE, "Objects are applied again.")},
    "DirectoryManifest": {ANY: (FREE, "Objects are applied again.")},
    "UrlManifest": {ANY: (FREE, "Objects are applied again.")},
    "ChartManifest": {ANY: (FREE, "Objects are applied again.")},
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

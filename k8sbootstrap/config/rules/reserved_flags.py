"""Settings that the rest of the cluster depends on: other keys of cluster.yaml set them, or nothing does.

Each name maps to the key that sets it instead; empty where there is none.
"""

from collections.abc import Mapping


def _fixed(names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), "")


OWNED_FLAGS: Mapping[str, Mapping[str, str]] = {
    "etcd": _fixed(
        "advertise-client-urls auto-tls cert-file client-cert-auth config-file data-dir discovery "
        "discovery-endpoints discovery-srv discovery-token force-new-cluster initial-advertise-peer-urls "
        "initial-cluster initial-cluster-state initial-cluster-token key-file listen-client-urls "
        "listen-metrics-urls listen-peer-urls name peer-auto-tls peer-cert-file peer-client-cert-auth "
        "peer-key-file peer-trusted-ca-file proxy trusted-ca-file wal-dir"
    ),
    "kube-apiserver": {
        **_fixed(
            "client-ca-file enable-bootstrap-token-auth etcd-cafile etcd-certfile etcd-keyfile etcd-servers "
            "kubelet-certificate-authority kubelet-client-certificate kubelet-client-key "
            "proxy-client-cert-file proxy-client-key-file requestheader-allowed-names "
            "requestheader-client-ca-file service-account-key-file service-account-signing-key-file "
            "shutdown-delay-duration tls-cert-file tls-private-key-file"
        ),
        "advertise-address": "hosts[].privateAddress",
        "secure-port": "api.port",
        "service-cluster-ip-range": "network.serviceCIDR",
    },
    "kube-controller-manager": {
        **_fixed(
            "allocate-node-cidrs authentication-kubeconfig authorization-kubeconfig client-ca-file "
            "cluster-signing-cert-file cluster-signing-key-file kubeconfig requestheader-client-ca-file "
            "root-ca-file service-account-private-key-file"
        ),
        "cluster-cidr": "network.podCIDR",
        "node-cidr-mask-size": "network.nodeCIDRMaskSize",
        "service-cluster-ip-range": "network.serviceCIDR",
    },
    "kube-scheduler": {
        **_fixed("authentication-kubeconfig authorization-kubeconfig kubeconfig"),
        "config": "kubernetes.extraConfig",
    },
    "kubelet": {
        **_fixed("bootstrap-kubeconfig cert-dir cgroup-driver container-runtime-endpoint kubeconfig"),
        "cluster-domain": "network.dnsDomain",
        "config": "kubernetes.extraConfig",
        "hostname-override": "hosts[].name",
        "node-ip": "hosts[].privateAddress",
        "node-labels": "hosts[].labels",
        "register-with-taints": "hosts[].taints",
    },
    "kube-proxy": {
        **_fixed("kubeconfig"),
        "cluster-cidr": "network.podCIDR",
        "config": "kubernetes.extraConfig",
        "hostname-override": "hosts[].name",
        "proxy-mode": "network.kubeProxyMode",
    },
}
"""Flags by component."""

OWNED_FIELDS: Mapping[str, Mapping[str, str]] = {
    "kubelet": {
        **_fixed("apiVersion kind cgroupDriver containerRuntimeEndpoint tlsCertFile tlsPrivateKeyFile"),
        "clusterDomain": "network.dnsDomain",
        "registerWithTaints": "hosts[].taints",
    },
    "kube-proxy": {
        **_fixed("apiVersion kind"),
        "clusterCIDR": "network.podCIDR",
        "hostnameOverride": "hosts[].name",
        "mode": "network.kubeProxyMode",
    },
    "kube-scheduler": _fixed("apiVersion kind"),
}
"""Fields of configuration files by component."""

"""Rules about the release and its components' settings."""

from collections.abc import Iterator, Mapping

from k8sbootstrap.catalog.resolve import release
from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.rules.finding import Finding
from k8sbootstrap.config.rules.syntax import is_flag
from k8sbootstrap.errors import UnknownReleaseError

_ANY_CATALOGUED_ARCH = "amd64"

OWNED_FLAGS: Mapping[str, Mapping[str, str]] = {
    "etcd": dict.fromkeys(
        (
            "advertise-client-urls",
            "cert-file",
            "client-cert-auth",
            "config-file",
            "data-dir",
            "initial-advertise-peer-urls",
            "initial-cluster",
            "initial-cluster-state",
            "key-file",
            "listen-client-urls",
            "listen-peer-urls",
            "name",
            "peer-cert-file",
            "peer-client-cert-auth",
            "peer-key-file",
            "peer-trusted-ca-file",
            "trusted-ca-file",
        ),
        "",
    ),
    "kube-apiserver": {
        **dict.fromkeys(
            (
                "client-ca-file",
                "etcd-cafile",
                "etcd-certfile",
                "etcd-keyfile",
                "etcd-servers",
                "kubelet-certificate-authority",
                "kubelet-client-certificate",
                "kubelet-client-key",
                "proxy-client-cert-file",
                "proxy-client-key-file",
                "requestheader-client-ca-file",
                "service-account-key-file",
                "service-account-signing-key-file",
                "tls-cert-file",
                "tls-private-key-file",
            ),
            "",
        ),
        "advertise-address": "hosts[].privateAddress",
        "secure-port": "api.port",
        "service-cluster-ip-range": "network.serviceCIDR",
    },
    "kube-controller-manager": {
        **dict.fromkeys(
            (
                "allocate-node-cidrs",
                "authentication-kubeconfig",
                "authorization-kubeconfig",
                "cluster-signing-cert-file",
                "cluster-signing-key-file",
                "kubeconfig",
                "root-ca-file",
                "service-account-private-key-file",
            ),
            "",
        ),
        "cluster-cidr": "network.podCIDR",
        "node-cidr-mask-size": "network.nodeCIDRMaskSize",
        "service-cluster-ip-range": "network.serviceCIDR",
    },
    "kube-scheduler": {
        **dict.fromkeys(("authentication-kubeconfig", "authorization-kubeconfig", "kubeconfig"), ""),
        "config": "kubernetes.extraConfig",
    },
    "kubelet": {
        **dict.fromkeys(
            (
                "bootstrap-kubeconfig",
                "cert-dir",
                "container-runtime",
                "container-runtime-endpoint",
                "hostname-override",
                "kubeconfig",
            ),
            "",
        ),
        "config": "kubernetes.extraConfig",
        "node-ip": "hosts[].privateAddress",
        "node-labels": "hosts[].labels",
        "register-with-taints": "hosts[].taints",
    },
    "kube-proxy": {
        "cluster-cidr": "network.podCIDR",
        "config": "kubernetes.extraConfig",
        "hostname-override": "hosts[].name",
        "kubeconfig": "",
    },
}
"""Flags that the rest of the cluster depends on, to the key of cluster.yaml to set instead (if any)."""

OWNED_FIELDS: Mapping[str, Mapping[str, str]] = {
    "kubelet": {
        "apiVersion": "",
        "kind": "",
        "clusterDomain": "network.dnsDomain",
        "registerWithTaints": "hosts[].taints",
    },
    "kube-proxy": {
        "apiVersion": "",
        "kind": "",
        "clusterCIDR": "network.podCIDR",
        "hostnameOverride": "hosts[].name",
    },
    "kube-scheduler": {"apiVersion": "", "kind": ""},
}
"""The same for fields of configuration files."""


def catalogued(draft: Draft) -> Iterator[Finding]:
    """The catalogue has the release with this runtime."""
    if draft.kubernetes is None or draft.runtime is None:
        return
    try:
        release(draft.kubernetes.version, _ANY_CATALOGUED_ARCH, draft.runtime.name)
    except UnknownReleaseError as exc:
        yield Finding(("kubernetes", "version"), str(exc), "")


def extra_args(draft: Draft) -> Iterator[Finding]:
    """Extra flags are spelled without dashes, and are not those that the cluster depends on."""
    for component, flags in draft.kubernetes.extra_args.items() if draft.kubernetes else ():
        for flag in flags:
            location = ("kubernetes", "extraArgs", component, flag)
            bare = flag.lstrip("-").partition("=")[0].lower().replace("_", "-")
            if not is_flag(flag):
                fix = f"write it as {bare}" if is_flag(bare) else "write its name without dashes in front"
                yield Finding(location, f'"{flag}" is not the name of a flag', fix)
            if bare in OWNED_FLAGS[component]:
                yield Finding(location, *_owned(OWNED_FLAGS[component][bare]))


def extra_config(draft: Draft) -> Iterator[Finding]:
    """Extra fields of configuration files are not those that the cluster depends on."""
    for component, fields in draft.kubernetes.extra_config.items() if draft.kubernetes else ():
        for name in fields:
            if name in OWNED_FIELDS[component]:
                location = ("kubernetes", "extraConfig", component, name)
                yield Finding(location, *_owned(OWNED_FIELDS[component][name]))


def _owned(instead: str) -> tuple[str, str]:
    return "k8sbootstrap sets this itself", f"set {instead}" if instead else "remove it"

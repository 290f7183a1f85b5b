"""Where the source of programs is, in Go modules."""

from collections.abc import Mapping
from dataclasses import dataclass

SERVED = {"cri-dockerd": "0.3.17"}
"""Version of a project that is built, whatever a release names: module proxies serve few of them. The later
ones of cri-dockerd that they serve need a newer docker than that of Debian 12."""


@dataclass(frozen=True)
class Program:
    """Where the source of a program is."""

    module: str
    """Path of its module; ``{major}`` stands for the major version."""
    package: str = ""
    """Path of its package in the module; empty for the module's root."""
    dependency: str = ""
    """Import path of its package, where that is in another module, which the first one requires."""
    tests: bool = False
    """Whether it is the program of the package's tests."""
    versions: tuple[str, ...] = ()
    """Variables that the linker sets to ``vVERSION``, where the source does not have the version itself."""
    tags: tuple[str, ...] = ()
    file: str = ""
    """Path of a file in the module that is taken as it is; empty for programs, which are built."""
    c_library: str = ""
    """Debian package of the C library that it is linked with; empty for programs without C."""


_COMPONENTS = ("apiserver", "controller-manager", "scheduler", "proxy")
_PLUGINS = {"bridge": "main", "loopback": "main", "host-local": "ipam", "portmap": "meta"}
_GIT_VERSION = tuple(
    f"{package}.gitVersion" for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
)
_PLUGIN_VERSION = ("github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion",)
_KUBE_BENCH = "github.com/aquasecurity/kube-bench"
_KUBERNETES = "k8s.io/kubernetes"
_PORTER = "test/images/agnhost/porter"
PROGRAMS: Mapping[tuple[str, str], Program] = {
    **{
        ("kubernetes", name): Program(_KUBERNETES, f"cmd/{name}", versions=_GIT_VERSION)
        for name in ("kubeadm", "kubelet", "kubectl", *(f"kube-{component}" for component in _COMPONENTS))
    },
    ("kubernetes-test", "e2e.test"): Program(_KUBERNETES, "test/e2e", tests=True, versions=_GIT_VERSION),
    ("kubernetes-test", "ginkgo"): Program(_KUBERNETES, dependency="github.com/onsi/ginkgo/v2/ginkgo"),
    **{
        ("conformance-images", name): Program(_KUBERNETES, f"test/images/{name}")
        for name in ("agnhost", "nonewprivs")
    },
    **{
        ("conformance-images", name): Program(_KUBERNETES, file=f"{_PORTER}/{name}")
        for name in ("localhost.crt", "localhost.key")
    },
    ("sample-apiserver", "sample-apiserver"): Program("k8s.io/sample-apiserver"),
    ("etcd", "etcd"): Program("go.etcd.io/etcd/server/v{major}"),
    ("etcd", "etcdctl"): Program("go.etcd.io/etcd/etcdctl/v{major}"),
    ("etcd", "etcdutl"): Program("go.etcd.io/etcd/etcdutl/v{major}"),
    **{
        ("cni-plugins", name): Program(
            "github.com/containernetworking/plugins", f"plugins/{kind}/{name}", versions=_PLUGIN_VERSION
        )
        for name, kind in _PLUGINS.items()
    },
    ("crictl", "crictl"): Program(
        "sigs.k8s.io/cri-tools", "cmd/crictl", versions=("sigs.k8s.io/cri-tools/pkg/version.Version",)
    ),
    ("coredns", "coredns"): Program("github.com/coredns/coredns"),
    **{
        ("containerd", name): Program(
            "github.com/containerd/containerd/v{major}",
            f"cmd/{name}",
            versions=("github.com/containerd/containerd/v{major}/version.Version",),
            tags=("urfave_cli_no_docs", "osusergo", "netgo", "static_build"),
        )
        for name in ("containerd", "containerd-shim-runc-v2", "ctr")
    },
    ("runc", "runc"): Program(
        "github.com/opencontainers/runc",
        tags=("seccomp", "urfave_cli_no_docs", "osusergo", "netgo"),
        c_library="libseccomp-dev",
    ),
    ("cri-dockerd", "cri-dockerd"): Program(
        "github.com/Mirantis/cri-dockerd", versions=("github.com/Mirantis/cri-dockerd/cmd/version.Version",)
    ),
    ("kube-bench", "kube-bench"): Program(_KUBE_BENCH, versions=(f"{_KUBE_BENCH}/cmd.KubeBenchVersion",)),
    **{
        ("kube-bench-controls", f"{name}.yaml"): Program(_KUBE_BENCH, file=f"cfg/cis-1.12/{name}.yaml")
        for name in ("controlplane", "etcd", "master", "node", "policies")
    },
}
"""By project and file name, as artifacts have them."""

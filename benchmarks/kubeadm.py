"""A whole cluster on new hosts, against kubeadm of the same release, driven by parallel SSH.

kubeadm and the images of its static pods are made from what the lab has: upstream's can't be had everywhere.
"""

import shutil
import subprocess
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from benchmarks import clusters, floor, fresh
from benchmarks.harness import Bench, Sample, main
from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.catalog.resolve import default_version, release
from k8sbootstrap.lab import artifacts, go_build
from k8sbootstrap.lab.image_tar import write_image
from k8sbootstrap.lab.mirror import SUITE, unpack

WORKERS = 2
REGISTRY = "registry.k8s.io"
TOKEN = "abcdef.0123456789abcdef"  # noqa: S105 - of a cluster that lives for a minute
_CACHE = cache_dir() / "bench"
_VERSION = default_version()
_KUBERNETES = artifacts.directory() / "kubernetes" / _VERSION / "amd64"
_KUBEADM = ArtifactFile("kubernetes", _VERSION, "amd64", "kubeadm")
_SOCKET = "unix:///run/cri-dockerd.sock"
_PACKAGES = (
    *("iptables", "conntrack", "libc6", "libxtables12", "libmnl0", "libnftnl11", "libnfnetlink0"),
    *("libip4tc2", "libip6tc2", "libnetfilter-conntrack3"),
)
"""Debian packages in the image of kube-proxy."""
_UNIT = """\
[Unit]
Description=kubelet
After=network-online.target docker.service
Wants=network-online.target
[Service]
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
ExecStart=/usr/local/bin/kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \\
  --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS
Restart=always
RestartSec=10
[Install]
WantedBy=multi-user.target
"""
_CONFIGURATION = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens: [{{token: {token}}}]
localAPIEndpoint: {{advertiseAddress: {address}}}
nodeRegistration: {{criSocket: {socket}}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v{version}
imageRepository: {registry}
networking: {{podSubnet: 10.244.0.0/16}}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
failCgroupV1: false  # lab hosts have the machine's
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
conntrack: {{maxPerCore: 0}}  # lab hosts may not change the machine's
"""


def run(bench: Bench) -> None:
    """Measure."""
    program = _program()
    pictures = _images(program)
    sides = {
        "small by up": lambda: fresh.up(1, WORKERS),
        "small by kubeadm": lambda: by_kubeadm(program, pictures),
    }
    bench.alternate(sides)
    bench.ratio("small by up", "small by kubeadm", 1.0, strict=True)


def by_kubeadm(program: Path, pictures: Path) -> Sample:
    """kubeadm; loading the images into the runtime counts apart, as if hosts had come with them."""
    with clusters.hosts(1, WORKERS) as lab, tempfile.TemporaryDirectory(prefix="k8sb-", dir="/tmp") as name:
        folder, master = Path(name), lab.hosts[0]
        floor.lay_out(lab, folder, lab.hosts, only=("host", "container_runtime", "pod_network"))
        address = lab.address(master)
        configuration = _CONFIGURATION.format(
            token=TOKEN, address=address, version=_VERSION, registry=REGISTRY, socket=_SOCKET
        )
        for host in lab.hosts:
            for binary in (_KUBERNETES / "kubelet", _KUBERNETES / "kubectl", program):
                floor.add_binary(folder / host, f"usr/local/bin/{binary.name}", binary)
            packages = folder / host / "packages"
            packages.write_text(packages.read_text().replace("haproxy", ""))
            with tarfile.open(folder / host / "files.tar", "a") as files:
                _add(files, "etc/systemd/system/kubelet.service", _UNIT)
                if host == master:
                    _add(files, "etc/kubernetes/kubeadm.yaml", configuration)
        (folder / "endpoint").write_text(f"{address}:6443")
        (folder / "token").write_text(TOKEN)
        (folder / "images").symlink_to(pictures)
        copied = floor.run("kubeadm.sh", folder, "copy")
        loaded = floor.run("kubeadm.sh", folder, "images")
        joined = floor.run("kubeadm.sh", folder, "init")
        return {"seconds": copied["seconds"] + joined["seconds"], "seconds for images": loaded["seconds"]}


def _program() -> Path:
    """kubeadm, built once."""
    program = _CACHE / _KUBEADM.key
    if not program.exists():
        for name in go_build.build([_KUBEADM], _CACHE):
            print(f"building kubeadm of {name} from Go modules (minutes, once)", flush=True)
    return program


def _images(kubeadm: Path) -> Path:
    """A folder with every image that kubeadm asks for, made once."""
    folder, partial = _CACHE / f"images-{_VERSION}", _CACHE / ".images"
    if folder.is_dir():
        return folder
    command = [str(kubeadm), "config", "images", "list", "--kubernetes-version", f"v{_VERSION}"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    tags = dict(ref.rpartition("/")[2].split(":") for ref in listed)
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        _write(partial, name, tags[name], {f"usr/local/bin/{name}": _KUBERNETES / name})
    resolved = release(_VERSION, "amd64", "docker")
    etcd = {"usr/local/bin/etcd": artifacts.directory() / resolved.binaries["etcd"].key}
    _write(partial, "etcd", tags["etcd"], etcd)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        unpack(SUITE, list(_PACKAGES), root)
        found = {str(path.relative_to(root)): path for path in root.rglob("*") if _is_needed(path, root)}
        files = {name: path for name, path in found.items() if not path.is_symlink()}
        links = {name: str(path.readlink()) for name, path in found.items() if path.is_symlink()}
        for tool in ("tables", "tables-save", "tables-restore"):
            links |= {f"usr/sbin/{family}{tool}": "xtables-nft-multi" for family in ("ip", "ip6")}
        proxy = {**files, "usr/local/bin/kube-proxy": _KUBERNETES / "kube-proxy"}
        _write(partial, "kube-proxy", tags["kube-proxy"], proxy, links)
    _write(partial, "coredns/coredns", tags["coredns"], {})  # is asked for though the addon is skipped
    shutil.copy(artifacts.directory() / resolved.pause.artifact.key, partial / "pause.tar")
    return partial.rename(folder)


def _is_needed(path: Path, root: Path) -> bool:
    top = path.relative_to(root).parts[0]
    return (
        (path.is_symlink() or path.is_file()) and top in {"lib", "lib64", "usr"} and "share" not in path.parts
    )


def _write(
    folder: Path, name: str, tag: str, files: dict[str, Path], links: dict[str, str] | None = None
) -> None:
    config = {"Env": ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    contents = {path: source.read_bytes() for path, source in files.items()}
    write_image(folder / f"{Path(name).name}.tar", f"{REGISTRY}/{name}:{tag}", contents, config, links)


def _add(files: tarfile.TarFile, path: str, text: str) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(text.encode()), 0o644
    files.addfile(entry, BytesIO(text.encode()))


if __name__ == "__main__":
    main(run)

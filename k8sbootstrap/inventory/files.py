"""Files to install as roles' variables: where they are here, their sha256, where hosts may get them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from k8sbootstrap.artifacts.own_images import OwnImage
from k8sbootstrap.catalog.models import ArtifactFile, Image, Release
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.plan.registries import name_in_local


class FetchedFile(Protocol):
    """What the inventory needs to know of a file that was fetched; ``artifacts.fetch.Fetched`` is one."""

    @property
    def path(self) -> Path:
        """Where it is on the controller."""

    @property
    def sha256(self) -> str:
        """Hex digest that was checked."""

    @property
    def url(self) -> str | None:
        """Where hosts may fetch it themselves."""


def files_of_roles(
    release: Release,
    images: Iterable[Image],
    artifacts: Mapping[str, FetchedFile],
    own_images: Sequence[OwnImage],
) -> dict[str, dict[str, Any]]:
    """Role to its variables that name files to install: all that differs between architectures."""

    def binaries(*names: str) -> dict[str, dict[str, str | None]]:
        return {name: _artifact(release.binaries[name], artifacts) for name in names}

    loaded = [_image(image, artifacts) for image in images if image.artifact.key in artifacts]
    loaded += [
        {"ref": image.ref, "artifact": _local(image.path, image.sha256)}
        for image in own_images
        if image.arch == release.arch
    ]
    runtime = binaries(*(name for name in ("cri-dockerd", *release.containerd) if name in release.binaries))
    if release.crictl.key in artifacts:
        runtime["crictl"] = _artifact(release.crictl, artifacts)
    return {
        "container_runtime": {"container_runtime_binaries": runtime, "container_runtime_images": loaded},
        "etcd": {"etcd_binaries": binaries("etcd", "etcdctl", "etcdutl")},
        "kube_apiserver": {"kube_apiserver_binaries": binaries("kube-apiserver", "kubectl")},
        "kube_controller_manager": {"kube_controller_manager_binaries": binaries("kube-controller-manager")},
        "kube_scheduler": {"kube_scheduler_binaries": binaries("kube-scheduler")},
        "kubelet": {"kubelet_binaries": binaries("kubelet")},
        "kube_proxy": {"kube_proxy_binaries": binaries("kube-proxy")},
        "pod_network": {
            "pod_network_binaries": {
                name: _artifact(file, artifacts) for name, file in release.cni_plugins.items()
            }
        },
    }


def stored_images(
    plan: ClusterPlan, artifacts: Mapping[str, FetchedFile], own: Sequence[OwnImage]
) -> list[dict[str, Any]]:
    """Images that the cluster's own registry has, for every architecture; none where there is no such."""
    found: list[tuple[str, str, dict[str, str | None]]] = [
        (image.ref, arch, _artifact(image.artifact, artifacts))
        for arch in plan.releases
        for image in plan.images(arch)
        if image.artifact.key in artifacts
    ]
    found += [(image.ref, image.arch, _local(image.path, image.sha256)) for image in own]
    return [
        {
            "ref": ref,
            **dict(zip(("name", "tag"), name_in_local(ref), strict=True)),
            "arch": arch,
            "artifact": artifact,
        }
        for ref, arch, artifact in (found if plan.local_registry else [])
    ]


def copied(path: Path) -> dict[str, str]:
    """A file that a role copies: its content counts in the role's digest, not where it is."""
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _artifact(file: ArtifactFile, artifacts: Mapping[str, FetchedFile]) -> dict[str, str | None]:
    fetched = artifacts[file.key]
    return {"path": str(fetched.path), "sha256": fetched.sha256, "url": fetched.url}


def _local(path: Path, sha256: str) -> dict[str, str | None]:
    """A file of this machine that hosts can get nowhere else."""
    return {"path": str(path), "sha256": sha256, "url": None}


def _image(image: Image, artifacts: Mapping[str, FetchedFile]) -> dict[str, Any]:
    return {"ref": image.ref, "artifact": _artifact(image.artifact, artifacts)}

"""Looks up everything that is installed for a Kubernetes version, an architecture and a runtime."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from k8sbootstrap.catalog.data import (
    ARCHITECTURES,
    Catalogue,
    PodNetworkEntry,
    Versions,
    load_catalogue,
    minor_of,
    numbers,
)
from k8sbootstrap.catalog.models import ArtifactFile, Conformance, Image, Overrides, PodNetwork, Release
from k8sbootstrap.errors import UnknownReleaseError

_NEAREST = 3
OWN_FILE = "cluster.yaml"
"""``known_by`` of a file whose hash is under ``releases`` in cluster.yaml."""
_CONFIG_3 = (2,)
"""The first containerd with version 3 of its configuration file."""


def versions() -> list[str]:
    """Kubernetes releases that can be installed, newest first, as in ``["1.37.2", ..., "1.34.0"]``."""
    return load_catalogue().versions()


def default_version() -> str:
    """The newest release of the catalogue all of whose files can be verified."""
    return next(version for version in versions() if not unverifiable(version))


def newest_like(version: str) -> str:
    """The newest catalogued release of a minor, which says what goes with a release that is newer still.

    Args:
        version: Kubernetes release, MAJOR.MINOR.PATCH without a leading v.

    Returns:
        That release; empty where the catalogue has ``version`` itself, or does not have its minor.
    """
    releases = load_catalogue().releases.get(minor_of(version))
    return releases.newest if releases and version not in releases.all() else ""


def unverifiable(version: str) -> list[str]:
    """Files of a release for which neither the catalogue nor upstream's checksum over TLS vouches.

    Args:
        version: A release of the catalogue.

    Returns:
        Their keys, for all architectures, runtimes and sources of the runtime; sorted.
    """
    releases = [
        release(version, arch, runtime, source=source)
        for arch in ARCHITECTURES
        for runtime, source in (("docker", "distribution"), ("containerd", "upstream"))
    ]
    files = [
        file
        for each in releases
        for file in (*each.binaries.values(), *each.cni_plugins.values(), each.crictl)
    ]
    return sorted(
        {
            file.key
            for file in files
            if not file.sha256
            and not file.url_sha256
            and not (file.checksum_url or "").startswith("https://")
        }
    )


def release(
    version: str,
    arch: str,
    runtime: str,
    own: Mapping[str, Overrides] = MappingProxyType({}),
    *,
    source: str = "distribution",
) -> Release:
    """Look a release up: one of a catalogued minor, also one that is newer than the catalogue.

    Args:
        version: Kubernetes release, MAJOR.MINOR.PATCH without a leading v.
        arch: Architecture of the hosts: amd64 or arm64.
        runtime: docker or containerd.
        own: ``releases`` of cluster.yaml, which win over the catalogue's.
        source: distribution or upstream, as ``runtime.source`` of cluster.yaml.

    Returns:
        The files, images, addresses and switches of that release.

    Raises:
        UnknownReleaseError: The catalogue has no such minor, architecture or runtime.
    """
    catalogue = load_catalogue()
    minor = next((each for each in catalogue.minors if each.minor == minor_of(version)), None)
    if minor is None:
        minors = ", ".join(each.minor for each in catalogue.minors)
        raise UnknownReleaseError(
            f"Kubernetes {version} is not in the release catalogue, which has {minors}; "
            f"the nearest releases are {', '.join(_nearest(version))}",
            hint="Set kubernetes.version in cluster.yaml to one of these.",
        )
    if arch not in ARCHITECTURES:
        raise UnknownReleaseError(
            f"Kubernetes {version} is not in the release catalogue for {arch}, only for "
            f"{' and '.join(ARCHITECTURES)}",
            hint="Use hosts of one of these architectures.",
        )
    if runtime not in catalogue.runtime_endpoints:
        known = " or ".join(sorted(catalogue.runtime_endpoints))
        raise UnknownReleaseError(
            f"Kubernetes {version} is not in the release catalogue with the container runtime {runtime}",
            hint=f"Set runtime.name in cluster.yaml to {known}.",
        )
    ours = own.get(version, Overrides())
    with_it = _versions(catalogue, version, ours)
    binaries = _files(catalogue, "kubernetes", version, arch, ours)
    binaries |= _files(catalogue, "etcd", with_it.etcd, arch, ours)
    if runtime == "docker":
        binaries |= _files(catalogue, "cri-dockerd", with_it.cri_dockerd, arch, ours)
    containerd = _files(catalogue, "containerd", with_it.containerd, arch, ours)
    containerd |= _files(catalogue, "runc", with_it.runc, arch, ours)
    of_upstream = runtime == "containerd" and source == "upstream"
    binaries |= containerd if of_upstream else {}
    return Release(
        version=version,
        arch=arch,
        minor=minor,
        binaries=binaries,
        cni_plugins=_files(catalogue, "cni-plugins", with_it.cni_plugins, arch, ours),
        containerd=containerd,
        containerd_config=3 if of_upstream and numbers(with_it.containerd) >= _CONFIG_3 else 2,
        crictl=_files(catalogue, "crictl", with_it.crictl, arch, ours)["crictl"],
        runtime_endpoint=catalogue.runtime_endpoints[runtime],
        pause=_image(catalogue.images.pause, "pause", with_it.pause, arch),
        coredns=_image(catalogue.images.coredns, "coredns", with_it.coredns, arch),
        pod_networks={
            name: _pod_network(name, entry, arch) for name, entry in catalogue.pod_networks.items()
        },
        dns_node_cache=_image(
            catalogue.images.dns_node_cache, "dns-node-cache", catalogue.dns_node_cache, arch
        ),
        dns_autoscaler=_image(
            catalogue.images.dns_autoscaler, "dns-autoscaler", catalogue.dns_autoscaler, arch
        ),
        test_image=_image(catalogue.images.busybox, "busybox", catalogue.test_image, arch),
    )


def helm(arch: str) -> ArtifactFile:
    """The program that renders charts on the machine that runs this.

    Args:
        arch: That machine's architecture: amd64 or arm64.
    """
    catalogue = load_catalogue()
    return _files(catalogue, "helm", catalogue.helm, arch, Overrides())["helm"]


def kube_bench(arch: str) -> tuple[ArtifactFile, ...]:
    """The program kube-bench, and the controls of the CIS benchmark that it judges hosts by.

    Args:
        arch: Architecture of the hosts: amd64 or arm64.
    """
    catalogue = load_catalogue()
    return tuple(
        file
        for name in ("kube-bench", "kube-bench-controls")
        for file in _files(catalogue, name, catalogue.kube_bench, arch, Overrides()).values()
    )


def conformance(version: str, arch: str, own: Mapping[str, Overrides] = MappingProxyType({})) -> Conformance:
    """Upstream's end-to-end tests of a release, and the images that those of Conformance start.

    Args:
        version: Kubernetes release, of a catalogued minor.
        arch: Architecture of the hosts: amd64 or arm64.
        own: ``releases`` of cluster.yaml, which win over the catalogue's.
    """
    catalogue = load_catalogue()
    files = _files(catalogue, "kubernetes-test", version, arch, own.get(version, Overrides()))
    return Conformance(
        e2e_test=files["e2e.test"],
        ginkgo=files["ginkgo"],
        images=tuple(
            _image(ref, ref.rpartition("/")[2].partition(":")[0], ref.rpartition(":")[2], arch)
            for ref in catalogue.conformance_images[minor_of(version)]
        ),
    )


def own_keys(version: str, own: Overrides) -> list[str]:
    """What ``files`` of an own release may name: its files, and the archives around them.

    Args:
        version: Kubernetes release, of a catalogued minor.
        own: What cluster.yaml says of it.
    """
    catalogue = load_catalogue()
    used = {"kubernetes": version, "kubernetes-test": version, **_versions(catalogue, version, own).by_name()}
    keys = []
    for name, project in catalogue.projects.by_name().items():
        for arch in ARCHITECTURES if used.get(name) else ():
            place = f"{name}/{used[name]}/{arch}"
            keys += [f"{place}/{file}" for file in project.files]
            keys += [place] if project.member else []
    return keys


def _versions(catalogue: Catalogue, version: str, own: Overrides) -> Versions:
    """The versions for a release of a catalogued minor."""
    return catalogue.releases[minor_of(version)].versions(version).model_copy(update=dict(own.versions))


def _files(
    catalogue: Catalogue, name: str, version: str, arch: str, own: Overrides
) -> dict[str, ArtifactFile]:
    """The files of one project, by file name."""
    project = catalogue.projects.by_name()[name]
    files = {}
    for file in project.files:
        place = {"version": version, "arch": arch, "file": file}
        url = project.url.format(**place)
        found = ArtifactFile(
            name=name,
            version=version,
            arch=arch,
            file=file,
            sha256=catalogue.sha256.get(f"{name}/{version}/{arch}/{file}"),
            url=url,
            url_sha256=catalogue.sha256.get(f"{name}/{version}/{arch}"),
            member=project.member and project.member.format(**place),
            checksum_url=project.checksum_url and project.checksum_url.format(url=url, **place),
        )
        files[file] = _overlaid(found, own)
    return files


def _overlaid(file: ArtifactFile, own: Overrides) -> ArtifactFile:
    """``file`` with the address and the hash that cluster.yaml has for it, or for the archive around it."""
    ours, archive = own.files.get(file.key), own.files.get(file.key.rpartition("/")[0])
    if ours:
        return replace(
            file,
            url=ours.url,
            sha256=ours.sha256,
            known_by=OWN_FILE,
            url_sha256=None,
            member=None,
            checksum_url=None,
        )
    if archive:
        return replace(
            file,
            url=archive.url,
            sha256=None,
            known_by=OWN_FILE,
            url_sha256=archive.sha256,
            checksum_url=None,
        )
    return file


def _image(ref: str, name: str, version: str, arch: str) -> Image:
    return Image(ref.format(version=version), ArtifactFile(name, version, arch, "image.tar"))


def _pod_network(name: str, entry: PodNetworkEntry, arch: str) -> PodNetwork:
    url = entry.url.format(version=entry.version)
    refs = {artifact: ref.format(version=entry.version) for artifact, ref in entry.images.items()}
    return PodNetwork(
        name=name,
        version=entry.version,
        manifest=ArtifactFile(
            name=name,
            version=entry.version,
            arch="any",
            file=url.rpartition("/")[2],
            sha256=entry.sha256,
            url=url,
        ),
        images=tuple(
            _image(ref, artifact, ref.rpartition(":")[2].removeprefix("v"), arch)
            for artifact, ref in refs.items()
        ),
    )


def _nearest(version: str) -> list[str]:
    """The known versions closest to ``version``, newest first: the same minor before others."""
    wanted = numbers(version)

    def distance(known: str) -> tuple[int, ...]:
        return tuple(abs(mine - theirs) for mine, theirs in zip(wanted, numbers(known), strict=False))

    return sorted(sorted(versions(), key=distance)[:_NEAREST], key=numbers, reverse=True)

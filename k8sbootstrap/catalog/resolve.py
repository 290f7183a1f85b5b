"""From a Kubernetes version, an architecture and a runtime to everything that is installed with them."""

from collections.abc import Mapping
from dataclasses import replace

from k8sbootstrap.catalog.data import ARCHITECTURES, Catalogue, Project, load_catalogue, minor_of
from k8sbootstrap.catalog.models import ArtifactFile, Image, Minor, Release
from k8sbootstrap.errors import UnknownReleaseError

_NEAREST = 3


def versions() -> list[str]:
    """Kubernetes releases that can be installed, newest first, as in ``["1.36.4", ..., "1.20.2"]``."""
    return sorted(load_catalogue().releases, key=_numbers, reverse=True)


def default_version() -> str:
    """The newest release of the catalogue."""
    return versions()[0]


def release(version: str, arch: str, runtime: str) -> Release:
    """Look a release up.

    Args:
        version: Kubernetes release, MAJOR.MINOR.PATCH without a leading v.
        arch: Architecture of the hosts: amd64 or arm64.
        runtime: docker or containerd.

    Returns:
        The files, images, addresses and switches of that release.

    Raises:
        UnknownReleaseError: The catalogue has no such version, architecture or runtime.
    """
    catalogue = load_catalogue()
    if version not in catalogue.releases:
        nearest = ", ".join(_nearest(version))
        raise UnknownReleaseError(
            f"Kubernetes {version} is not in the release catalogue; the nearest are {nearest}",
            hint="Set kubernetes.version in cluster.yaml to one of these.",
        )
    if arch not in ARCHITECTURES:
        raise UnknownReleaseError(
            f"Kubernetes {version} is not catalogued for {arch}, only for {' and '.join(ARCHITECTURES)}",
            hint="Use hosts of one of these architectures.",
        )
    if runtime not in catalogue.runtime_endpoints:
        known = " or ".join(sorted(catalogue.runtime_endpoints))
        raise UnknownReleaseError(
            f"Kubernetes {version} is not catalogued with the container runtime {runtime}",
            hint=f"Set runtime.name in cluster.yaml to {known}.",
        )
    with_it = catalogue.releases[version]
    projects = catalogue.projects
    minor = next(each for each in catalogue.minors if each.minor == minor_of(version))
    dockershim = runtime == "docker" and not minor.cri_dockerd
    binaries = _files(catalogue, "kubernetes", projects.kubernetes, version, arch)
    binaries |= _files(catalogue, "etcd", projects.etcd, with_it.etcd, arch)
    if runtime == "docker" and with_it.cri_dockerd:
        binaries |= _files(catalogue, "cri-dockerd", projects.cri_dockerd, with_it.cri_dockerd, arch)
    pause = _image(catalogue.images.pause, "pause", with_it.pause, arch)
    return Release(
        version=version,
        arch=arch,
        minor=_filled(minor, pause.ref, catalogue.runtime_endpoints),
        binaries=binaries,
        cni_plugins=_files(catalogue, "cni-plugins", projects.cni_plugins, with_it.cni_plugins, arch),
        runtime_endpoint="" if dockershim else catalogue.runtime_endpoints[runtime],
        pause=pause,
        test_image=_image(catalogue.images.busybox, "busybox", catalogue.test_image, arch),
    )


def _files(
    catalogue: Catalogue, name: str, project: Project, version: str, arch: str
) -> dict[str, ArtifactFile]:
    """The files of one project, by file name."""
    files = {}
    for file in project.files:
        place = {"version": version, "arch": arch, "file": file}
        url = project.url.format(**place)
        files[file] = ArtifactFile(
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
    return files


def _image(repository: str, name: str, version: str, arch: str) -> Image:
    return Image(f"{repository}:{version}", ArtifactFile(name, version, arch, "image.tar"))


def _filled(minor: Minor, pause: str, endpoints: Mapping[str, str]) -> Minor:
    """``minor`` with {pause} and {runtime_endpoint} replaced in its runtime flags."""
    return replace(
        minor,
        runtime_flags={
            runtime: {
                flag: value.format(pause=pause, runtime_endpoint=endpoints[runtime])
                for flag, value in flags.items()
            }
            for runtime, flags in minor.runtime_flags.items()
        },
    )


def _nearest(version: str) -> list[str]:
    """The known versions closest to ``version``, newest first: the same minor before others."""
    wanted = _numbers(version)

    def distance(known: str) -> tuple[int, ...]:
        return tuple(abs(mine - theirs) for mine, theirs in zip(wanted, _numbers(known), strict=False))

    return sorted(sorted(versions(), key=distance)[:_NEAREST], key=_numbers, reverse=True)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))

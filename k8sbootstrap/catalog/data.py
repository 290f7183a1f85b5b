"""The release catalogue's files, ``releases.yaml`` and ``checksums.yaml``, as pydantic models.

Unknown keys are errors.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from k8sbootstrap.catalog.models import Minor
from k8sbootstrap.formats.bounded import load_own_yaml

RELEASES, CHECKSUMS = "releases.yaml", "checksums.yaml"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Architecture as releases name it, by the name that ``uname -m`` prints."""
ARCHITECTURES = tuple(MACHINES.values())

_HASH_KEY = (
    r"^(kubernetes(-test)?|etcd|containerd|runc|cni-plugins|crictl|cri-dockerd|helm|kube-bench(-controls)?)"
    r"/[\d.]+/(amd64|arm64)(/[a-z0-9.-]+)?$"
)

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
KubernetesVersion = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _NamedByProject(_Model):
    """Keys are names of projects, with hyphens in the file."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))


class Project(_Model):
    """One upstream project: its files and the templates of their addresses."""

    files: tuple[str, ...]
    url: str
    """Address of a file, or of the archive that holds it; takes {version}, {arch} and {file}."""
    member: str | None = None
    """Path inside the archive; None where ``url`` is the file itself."""
    checksum_url: str | None = None
    """Address of the published checksum; takes {url} as well."""


class Projects(_NamedByProject):
    """Every project that files come from."""

    kubernetes: Project
    etcd: Project
    containerd: Project
    runc: Project
    cni_plugins: Project
    crictl: Project
    cri_dockerd: Project
    helm: Project
    kube_bench: Project
    kube_bench_controls: Project
    kubernetes_test: Project

    def by_name(self) -> dict[str, Project]:
        """The same as a mapping; names have hyphens."""
        return {name.replace("_", "-"): getattr(self, name) for name in type(self).model_fields}


class Images(_Model):
    """The reference of each image; takes {version}."""

    pause: str
    coredns: str
    busybox: str
    dns_node_cache: str
    dns_autoscaler: str


class PodNetworkEntry(_Model):
    """A pod network that is objects in the cluster."""

    version: str
    url: str
    """Address of the project's manifest or chart; takes {version}."""
    sha256: Sha256
    images: Mapping[str, str]
    """Reference of each image by the name of its artifact; takes {version}."""


class Versions(_NamedByProject):
    """The versions that go with one Kubernetes release."""

    etcd: str
    containerd: str
    runc: str
    cni_plugins: str
    crictl: str
    cri_dockerd: str
    pause: str
    coredns: str

    def by_name(self) -> dict[str, str]:
        """Version by project; names have hyphens."""
        return self.model_dump(by_alias=True)


class MinorReleases(Versions):
    """The releases of one minor, and the versions that go with them."""

    newest: KubernetesVersion
    """The newest one; the catalogue has all from .0 to it."""
    patches: Mapping[KubernetesVersion, Mapping[str, str]] = {}
    """Versions in which a release differs, by release and project; names have hyphens."""

    def all(self) -> list[str]:
        """The releases, newest first."""
        minor, _, newest = self.newest.rpartition(".")
        return [f"{minor}.{patch}" for patch in range(int(newest), -1, -1)]

    def versions(self, release: str) -> Versions:
        """The versions that go with a release of the minor: for one after the newest, those of the newest."""
        common = self.model_dump(by_alias=True, exclude={"newest", "patches"})
        own = self.patches.get(min(release, self.newest, key=numbers), {})
        return Versions.model_validate({**common, **own})


class Catalogue(_Model):
    """The whole of ``releases.yaml``, with ``checksums.yaml`` as ``sha256``."""

    projects: Projects
    images: Images
    test_image: str
    dns_node_cache: str
    dns_autoscaler: str
    helm: str
    kube_bench: str
    pod_networks: Mapping[str, PodNetworkEntry]
    runtime_endpoints: Mapping[str, str]
    cri_dockerd_needs: Mapping[str, str]
    """Version of cri-dockerd to the first docker that it, and later ones, work with."""
    minors: tuple[Minor, ...]
    releases: Mapping[str, MinorReleases]
    """The releases by their minor."""
    conformance_images: Mapping[str, tuple[str, ...]]
    """References of the images that Conformance starts, by minor."""
    sha256: Mapping[Annotated[str, Field(pattern=_HASH_KEY)], Sha256]

    def of_every_release(self) -> dict[str, str]:
        """Version by project, where it is the same for every release."""
        return {
            "helm": self.helm,
            "kube-bench": self.kube_bench,
            "kube-bench-controls": self.kube_bench,
        }

    def versions(self) -> list[str]:
        """All releases, newest first."""
        return [version for minor in self.minors for version in self.releases[minor.minor].all()]

    @model_validator(mode="after")
    def _check(self) -> Self:
        minors = [minor.minor for minor in self.minors]
        if minors != sorted(self.releases, key=numbers, reverse=True):
            raise ValueError("minors and releases are not the same minors, newest first")
        if minors != sorted(self.conformance_images, key=numbers, reverse=True):
            raise ValueError("conformance_images: these are not the images of each minor")
        for minor in self.minors:
            releases = self.releases[minor.minor]
            for version in (releases.newest, *releases.patches):
                if version not in releases.all() or minor_of(version) != minor.minor:
                    raise ValueError(f"release {version}: is not one of {minor.minor}.0 to {releases.newest}")
                if numbers(releases.versions(version).etcd) < numbers(minor.etcd_least):
                    raise ValueError(f"release {version}: its minor needs etcd {minor.etcd_least} or later")
        used = self._used()
        for key in self.sha256:
            self._check_hash(used, *key.split("/"))
        return self

    def _used(self) -> dict[str, set[str]]:
        """Versions that releases use, by project."""
        used = {"kubernetes": set(self.versions()), "kubernetes-test": set(self.versions())}
        used |= {name: {version} for name, version in self.of_every_release().items()}
        for releases in self.releases.values():
            for release in releases.all():
                for name, version in releases.versions(release).by_name().items():
                    used.setdefault(name, set()).add(version)
        return used

    def _check_hash(
        self, used: Mapping[str, set[str]], name: str, version: str, _arch: str, file: str | None = None
    ) -> None:
        project = self.projects.by_name()[name]
        if version not in used[name]:
            raise ValueError(f"sha256 {name}/{version}: no release uses it")
        if file is None and project.member is None:
            raise ValueError(f"sha256 {name}/{version}: {name} publishes no archive")
        if file is not None and file not in project.files:
            raise ValueError(f"sha256 {name}/{version}/{file}: no such file")


def numbers(version: str) -> tuple[int, ...]:
    """A version's parts, to sort by; 0 for what is not a number."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def minor_of(version: str) -> str:
    """MAJOR.MINOR of MAJOR.MINOR.PATCH."""
    return version.rpartition(".")[0]


@cache
def load_catalogue() -> Catalogue:
    """Read the catalogue's files, once.

    Returns:
        The catalogue that this version of the program carries.

    Raises:
        pydantic.ValidationError: A file has an unknown key, or they contradict each other.
    """
    folder = resources.files("k8sbootstrap.catalog")
    return parse(*(folder.joinpath(name).read_text(encoding="utf-8") for name in (RELEASES, CHECKSUMS)))


def parse(releases: str, checksums: str) -> Catalogue:
    """Read the catalogue from its files' texts.

    Raises:
        pydantic.ValidationError: As for ``load_catalogue``.
    """
    return Catalogue.model_validate({**_mapping(releases), "sha256": _mapping(checksums)})


def _mapping(text: str) -> dict[str, Any]:
    document: dict[str, Any] = load_own_yaml(text)
    return document

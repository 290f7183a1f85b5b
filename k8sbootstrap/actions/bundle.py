"""Making a bundle of all that cluster.yaml needs."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.actions import cis
from k8sbootstrap.actions.conformance.ready import tests_of
from k8sbootstrap.actions.prepare import images, optional_files, registry_images, required_files
from k8sbootstrap.artifacts.bundle.manifest import INDEX, PACKAGES, BundledFile, Manifest
from k8sbootstrap.artifacts.bundle.writer import Content, write_bundle
from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.artifacts.fetch import Fetched, Progress, fetch_all
from k8sbootstrap.artifacts.packages import repository
from k8sbootstrap.artifacts.packages.apt import SYSTEMS
from k8sbootstrap.artifacts.sources.base import SUMS
from k8sbootstrap.catalog.distributions import platform_of
from k8sbootstrap.catalog.models import ArtifactFile, Image
from k8sbootstrap.formats.text import megabytes_of
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State


@dataclass(frozen=True)
class Created:
    """A bundle that was made."""

    manifest: Manifest
    size: int
    sha256: str
    missing: Mapping[str, str]
    """Image that nobody has to what every place answered."""


@dataclass
class _Parts:
    """What goes into a bundle."""

    files: dict[str, BundledFile]
    content: dict[str, Content]

    def add(self, path: str, content: Content, size: int, sha256: str) -> None:
        self.files[path] = BundledFile(size, sha256)
        self.content[path] = content

    def add_text(self, path: str, text: bytes) -> None:
        self.add(path, text, len(text), hashlib.sha256(text).hexdigest())


def create(
    plan: ClusterPlan,
    cluster_file: Path,
    output: Path,
    systems: Sequence[str],
    *,
    conformance: bool = False,
    progress: Callable[[Progress], None],
    status: Callable[[str], None],
) -> Created:
    """Make a bundle for a cluster.

    Args:
        plan: The cluster.
        cluster_file: Where it came from; relative paths start at its folder.
        output: The bundle.
        systems: What hosts run, as in debian12.
        conformance: Whether it gets what ``verify --conformance`` needs, too.
        progress: Told of downloads.
        status: Told in a few words what is going on.

    Raises:
        ArtifactError: Something could not be had, or the bundle can't be written.
    """
    parts = _Parts({}, {})
    answers: dict[str, str] = {}

    def on_progress(step: Progress) -> None:
        if step.state == "missing":
            answers[step.key] = step.why
        progress(step)

    tests = tests_of(plan) if conformance else {}
    wanted = [*images(plan), *(image for each in tests.values() for image in each.images)]
    programs = [file for each in tests.values() for file in (each.e2e_test, each.ginkgo)]
    fetched = _fetch(plan, cluster_file, programs, wanted, on_progress)
    for key, file in fetched.items():
        parts.add(key, file.path, file.path.stat().st_size, file.sha256)
    packages = {}
    for arch in plan.releases:
        for system in systems:
            names = _packages(plan, arch, system)
            if names:
                packages[f"{system}/{arch}"] = names
                _add_packages(parts, system, arch, names, status)
    parts.add_text(SUMS, "".join(f"{e.sha256}  {path}\n" for path, e in sorted(parts.files.items())).encode())
    refs = {image.artifact.key: image.ref for image in wanted}
    missing = {f"{ref} ({key})": answers[key] for key, ref in refs.items() if key not in fetched}
    manifest = Manifest(
        cluster=plan.config.name,
        kubernetes=plan.config.kubernetes.version,
        architectures=tuple(plan.releases),
        images={key: ref for key, ref in refs.items() if key in fetched},
        missing=tuple(sorted(missing)),
        packages=packages,
        files=dict(sorted(parts.files.items())),
    )
    whole = manifest.size

    def tell(written: int) -> None:
        status(f"{output.name}: {megabytes_of(written, whole)} written")

    sha256 = write_bundle(output, manifest, parts.content, tell)
    return Created(manifest, output.stat().st_size, sha256, missing)


def _fetch(
    plan: ClusterPlan,
    cluster_file: Path,
    programs: Sequence[ArtifactFile],
    wanted: Sequence[Image],
    progress: Callable[[Progress], None],
) -> Mapping[str, Fetched]:
    base = cluster_file.resolve().parent
    return fetch_all(
        [*required_files(plan), *programs],
        plan.config.artifacts,
        State.beside(cluster_file, plan.config.name),
        base,
        cache_dir(),
        optional=[
            *optional_files(plan),
            *cis.files_of(plan),
            *(image.artifact for image in wanted),
        ],
        proxy=plan.config.proxy,
        images=registry_images(plan, base, wanted),
        progress=progress,
    )


def _packages(plan: ClusterPlan, arch: str, system: str) -> tuple[str, ...]:
    """What the packages are called that hosts of an architecture are given, where they run a system."""
    found = platform_of(*SYSTEMS[system].release)
    hosts = [host for host in plan.hosts if host.arch == arch]
    names = {name for host in hosts if found for name in found.names(plan.package_purposes(host))}
    return tuple(sorted(names))


def _add_packages(
    parts: _Parts, system: str, arch: str, names: Sequence[str], status: Callable[[str], None]
) -> None:
    needed, folder = repository.collect(system, arch, names, cache_dir(), status)
    top = f"{PACKAGES}/{system}/{arch}"
    for package in needed:
        parts.add(f"{top}/{package.file}", folder / package.file, package.size, package.sha256)
    index = repository.index(needed)
    parts.add_text(f"{top}/{INDEX}", index)
    parts.add_text(f"{top}/Release", repository.release(system, arch, index))

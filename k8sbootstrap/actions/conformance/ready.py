"""Gets the tests, and the images that they start, from the nearest place that has them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.actions.prepare import registry_images
from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.artifacts.fetch import Fetched, Progress, fetch_all
from k8sbootstrap.catalog.models import Conformance, Image
from k8sbootstrap.catalog.resolve import conformance
from k8sbootstrap.config.models.base import Arch
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.state import State


@dataclass(frozen=True)
class Ready:
    """What is on the controller for a run."""

    programs: Mapping[Arch, Mapping[str, Fetched]]
    """e2e.test and ginkgo, by the master's architecture."""
    images: Mapping[Arch, Sequence[Image]]
    """What tests start, by the node's architecture."""
    fetched: Mapping[str, Fetched]
    """All files that are on the controller, by their keys; nodes pull images that are not among them."""

    @property
    def refs(self) -> frozenset[str]:
        """References of all images."""
        return frozenset(image.ref for images in self.images.values() for image in images)


def tests_of(plan: ClusterPlan) -> dict[Arch, Conformance]:
    """The tests of the cluster's release, and their images, by the architectures of its hosts."""
    version, own = plan.config.kubernetes.version, plan.config.own_releases
    return {arch: conformance(version, arch, own) for arch in plan.releases}


def get_ready(
    plan: ClusterPlan, cluster_file: Path, masters: Sequence[HostPlan], progress: Callable[[Progress], None]
) -> Ready:
    """Get tests and images from the nearest place that has them.

    Args:
        plan: The cluster.
        cluster_file: Where it came from.
        masters: Those that the tests may run on.
        progress: Told of downloads.

    Raises:
        ArtifactError: The tests could not be had.
        ConfigError: A password cannot be read.
    """
    wanted = tests_of(plan)
    programs = {host.arch: (wanted[host.arch].e2e_test, wanted[host.arch].ginkgo) for host in masters}
    images = {arch: each.images for arch, each in wanted.items()}
    every = [image for each in images.values() for image in each]
    base = cluster_file.resolve().parent
    fetched = fetch_all(
        [file for files in programs.values() for file in files],
        plan.config.artifacts,
        State.beside(cluster_file, plan.config.name),
        base,
        cache_dir(),
        optional=[image.artifact for image in every],
        proxy=plan.config.proxy,
        images=registry_images(plan, base, every) if plan.local_registry else None,
        progress=progress,
    )
    return Ready(
        programs={arch: {file.file: fetched[file.key] for file in files} for arch, files in programs.items()},
        images=images,
        fetched=fetched,
    )

"""Prepares on the controller what hosts will need: files to install, certificates, the inventory."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from k8sbootstrap.addons.objects_file import files as addon_files
from k8sbootstrap.addons.objects_file import write_addons
from k8sbootstrap.artifacts.bundle.reader import open_bundle
from k8sbootstrap.artifacts.bundle.unpack import unpack_packages
from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.artifacts.fetch import fetch_all, summarize
from k8sbootstrap.artifacts.own_images import own_images
from k8sbootstrap.artifacts.sources.registries import RegistryImages
from k8sbootstrap.artifacts.transfers import Transfers
from k8sbootstrap.catalog.models import ArtifactFile, Image
from k8sbootstrap.inventory.build import build_inventory
from k8sbootstrap.inventory.logins import read_logins, write_logins
from k8sbootstrap.inventory.model import Inventory
from k8sbootstrap.inventory.proxy import write_proxy
from k8sbootstrap.inventory.write import write_inventory
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State


class StepReporter(Protocol):
    """Takes the messages of a step."""

    def note(self, text: str) -> None:
        """Record and show a message."""

    def status(self, text: str) -> None:
        """Show what the step does now; any thread may call this."""


BeginStep = Callable[[str, str], AbstractContextManager[StepReporter]]
"""Called with a step's name and title around each step, to report and time it."""


def required_files(plan: ClusterPlan) -> list[ArtifactFile]:
    """Every file that an installation cannot do without."""
    releases = plan.releases.values()
    files = [file for each in releases for file in (*each.binaries.values(), *each.cni_plugins.values())]
    return [*files, *addon_files(plan)]


def images(plan: ClusterPlan) -> list[Image]:
    """Every image that the cluster uses, for each architecture."""
    return [image for arch in plan.releases for image in plan.images(arch)]


def optional_files(plan: ClusterPlan) -> list[ArtifactFile]:
    """Files that are used where they can be obtained, and that hosts can do without."""
    return [*(image.artifact for image in images(plan)), *(each.crictl for each in plan.releases.values())]


def registry_images(plan: ClusterPlan, base: Path) -> RegistryImages:
    """How the cluster's images are pulled to this machine.

    Args:
        plan: The cluster.
        base: The folder of cluster.yaml.

    Raises:
        ConfigError: A password cannot be read.
    """
    return RegistryImages(
        refs={image.artifact.key: image.ref for image in images(plan)},
        registries=plan.registries,
        logins=read_logins(plan.config.runtime.registries, base),
        all=plan.config.artifacts.upstream,
    )


def prepare(
    plan: ClusterPlan, cluster_file: Path, state: State, directory: Path, step: BeginStep
) -> Inventory:
    """Fetch files, issue certificates and write the inventory, each only as far as it is not there already.

    Args:
        plan: The desired state.
        cluster_file: cluster.yaml; paths in it are relative to its folder.
        state: Where certificates and pinned hashes are kept.
        directory: Where the inventory is written to.
        step: Wraps each step.

    Returns:
        The inventory.

    Raises:
        ArtifactError: A file could not be obtained.
        ConfigError: A secret, an image, a manifest or a chart that cluster.yaml names can't be used.
        StateError: The certificates in the state directory can't be used.
    """
    base = cluster_file.resolve().parent
    logins = read_logins(plan.config.runtime.registries, base)
    transfers = Transfers()
    with step("artifacts", "Files to install") as listener:
        files = fetch_all(
            required_files(plan),
            plan.config.artifacts,
            state,
            base,
            cache_dir(),
            optional=optional_files(plan),  # the runtime can pull images, and crictl is for people
            proxy=plan.config.proxy,
            images=registry_images(plan, base) if plan.local_registry else None,
            progress=lambda progress: listener.status(transfers.update(progress)),
        )
        repositories = unpack_packages(open_bundle(plan.bundle), cache_dir()) if plan.bundle else {}
        for line in [*filter(None, [transfers.summary()]), *summarize(files)]:
            listener.note(line)
        images_of_own = own_images(plan.config.runtime.images, base, cache_dir())
        stored = plan.config.registry.images if plan.config.registry else []
        images_for_registry = own_images(stored, base, cache_dir())
    with step("pki", "Certificates"):
        ensure_pki(plan, state)
    with step("inventory", "Inventory") as listener:
        write_logins(logins, state)
        write_proxy(plan, state)
        fetched = {key: file.path for key, file in files.items()}
        for line in write_addons(plan, cluster_file, fetched, state):
            listener.note(line)
        inventory = build_inventory(
            plan,
            state,
            files,
            images_of_own,
            registry_images=images_for_registry,
            repositories=repositories,
        )
        write_inventory(inventory, directory)
    return inventory

"""Prepares on the controller what hosts will need: files to install, certificates, the inventory."""

from collections.abc import Iterable
from pathlib import Path

from k8sbootstrap.actions.context import Preparation
from k8sbootstrap.actions.step import Step, StepReporter
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
from k8sbootstrap.inventory.proxy import write_proxy
from k8sbootstrap.inventory.snapshot_store import read_store, write_store
from k8sbootstrap.inventory.write import write_inventory
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.plan.models import ClusterPlan


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


def registry_images(plan: ClusterPlan, base: Path, wanted: Iterable[Image]) -> RegistryImages:
    """How images are pulled to this machine.

    Args:
        plan: The cluster.
        base: The folder of cluster.yaml.
        wanted: The images.

    Raises:
        ConfigError: A password cannot be read.
    """
    return RegistryImages(
        refs={image.artifact.key: image.ref for image in wanted},
        registries=plan.registries,
        logins=read_logins(plan.config.runtime.registries, base),
        all=plan.config.artifacts.upstream,
    )


def fetch_files(context: Preparation, step: StepReporter) -> None:
    """Get every file to install, from the nearest place that has it.

    Raises:
        ArtifactError: A file could not be obtained.
        ConfigError: A password or an image that cluster.yaml names can't be used.
    """
    plan, base = context.plan, context.base
    context.logins = read_logins(plan.config.runtime.registries, base)
    transfers = Transfers()
    context.files = fetch_all(
        required_files(plan),
        plan.config.artifacts,
        context.state,
        base,
        cache_dir(),
        optional=optional_files(plan),  # the runtime can pull images, and crictl is for people
        proxy=plan.config.proxy,
        images=registry_images(plan, base, images(plan)) if plan.local_registry else None,
        progress=lambda progress: step.status(transfers.update(progress)),
    )
    context.repositories = unpack_packages(open_bundle(plan.bundle), cache_dir()) if plan.bundle else {}
    for line in [*filter(None, [transfers.summary()]), *summarize(context.files)]:
        step.note(line)
    context.node_images = own_images(plan.config.runtime.images, base, cache_dir())
    stored = plan.config.registry.images if plan.config.registry else []
    context.registry_images = own_images(stored, base, cache_dir())


def issue_certificates(context: Preparation, _step: StepReporter) -> None:
    """Issue the certificates that the state directory does not have, and those that must be made again.

    Raises:
        StateError: The certificates in the state directory can't be used.
    """
    ensure_pki(context.plan, context.state, context.choice)


def make_inventory(context: Preparation, step: StepReporter) -> None:
    """Build the inventory and write it, with the files that it names.

    Raises:
        ConfigError: A manifest, a chart or a secret that cluster.yaml names can't be used.
    """
    plan, state = context.plan, context.state
    write_logins(context.logins, state)
    write_proxy(plan, state)
    write_store(read_store(plan, context.base), state)
    fetched = {key: file.path for key, file in context.files.items()}
    for line in write_addons(plan, context.cluster_file, fetched, state):
        step.note(line)
    context.inventory = build_inventory(
        plan,
        state,
        context.files,
        context.node_images,
        registry_images=context.registry_images,
        repositories=context.repositories,
    )
    write_inventory(context.inventory, context.inventory_folder)


PREPARE = (
    Step("artifacts", "Files to install", fetch_files),
    Step("pki", "Certificates", issue_certificates),
    Step("inventory", "Inventory", make_inventory),
)
"""Each does only what is not done already."""

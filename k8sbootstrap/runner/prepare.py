"""What the controller makes ready before any host changes: files to install, certificates, the inventory."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.artifacts.fetch import fetch_all
from k8sbootstrap.inventory import render_inventory
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State

Step = Callable[[str, str], AbstractContextManager[None]]
"""Called with a step's name and title around each step, to report and time it."""


def prepare(plan: ClusterPlan, cluster_file: Path, state: State, inventory: Path, step: Step) -> None:
    """Fetch files, issue certificates and write the inventory, each only as far as it is not there already.

    Args:
        plan: The desired state.
        cluster_file: cluster.yaml; paths in it are relative to its folder.
        state: Where certificates and pinned hashes are kept.
        inventory: Directory that the inventory goes to.
        step: Wraps each step.

    Raises:
        ArtifactError: A file could not be had.
        StateError: The certificates in the state directory can't be used.
    """
    release = plan.release
    images = [release.pause.artifact, release.test_image.artifact]
    with step("artifacts", "Files to install"):
        files = fetch_all(
            [*release.binaries.values(), *release.cni_plugins.values(), *images],
            plan.config.artifacts,
            state,
            cluster_file.resolve().parent,
            cache_dir(),
            optional={image.key for image in images},  # the runtime pulls what no source has
        )
    with step("pki", "Certificates"):
        ensure_pki(plan, state)
    with step("inventory", "Inventory"):
        render_inventory(plan, state, files, inventory)

"""Gets kube-bench, which ``verify --cis`` runs on hosts."""

from collections.abc import Callable, Mapping
from pathlib import Path

from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.artifacts.fetch import Fetched, Progress, fetch_all
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.catalog.resolve import kube_bench
from k8sbootstrap.checks.cis.run import KubeBench
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State


def files_of(plan: ClusterPlan) -> list[ArtifactFile]:
    """kube-bench and its controls, for each architecture of the hosts."""
    return [file for arch in plan.releases for file in kube_bench(arch)]


def fetch(
    plan: ClusterPlan, cluster_file: Path, progress: Callable[[Progress], None]
) -> Mapping[str, Fetched]:
    """Get them from the nearest place that has them, by key.

    Raises:
        ArtifactError: One could not be had.
    """
    return fetch_all(
        files_of(plan),
        plan.config.artifacts,
        State.beside(cluster_file, plan.config.name),
        cluster_file.resolve().parent,
        cache_dir(),
        proxy=plan.config.proxy,
        progress=progress,
    )


def programs(plan: ClusterPlan, fetched: Mapping[str, Fetched]) -> dict[str, KubeBench]:
    """What was fetched, by architecture."""
    found = {}
    for arch in plan.releases:
        program, *controls = kube_bench(arch)
        found[str(arch)] = KubeBench(
            fetched[program.key].path, {file.file: fetched[file.key].path for file in controls}
        )
    return found

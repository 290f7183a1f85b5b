"""Writes everything that is applied to the cluster after it is up into one file, which goes to a master."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8sbootstrap import private_files
from k8sbootstrap.addons import user_manifests
from k8sbootstrap.addons.dns import dns_objects
from k8sbootstrap.addons.pod_network import pod_network_objects
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.errors import ConfigError, Problem
from k8sbootstrap.formats.objects import Object, ObjectError, Sourced
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State

LABEL = "k8sbootstrap.io/addon"
"""The label by which objects are found again; also in ``module_utils/k8sbootstrap/kube/addons.py``."""


@dataclass(frozen=True)
class Group:
    """Objects that are applied together: namespaces and definitions of kinds first."""

    name: str
    """Value of ``LABEL`` on them."""
    objects: Sequence[Sourced]
    wait: bool = False
    """Whether ``up`` waits until their pods run."""

    def to_json(self) -> dict[str, Any]:
        """As the module ``kube_addons`` takes it."""
        return {
            "name": self.name,
            "wait": self.wait,
            "objects": [
                {"source": each.source, "number": each.number, "object": _labelled(each.object, self.name)}
                for each in self.objects
            ],
        }


def files(plan: ClusterPlan) -> list[ArtifactFile]:
    """The files to fetch before ``write_addons``."""
    network = [plan.pod_network.manifest] if plan.pod_network else []
    program = [user_manifests.helm_file()] if plan.pod_network and plan.pod_network.is_chart else []
    return [*network, *program, *user_manifests.files(plan.config.manifests)]


def write_addons(
    plan: ClusterPlan, cluster_file: Path, fetched: Mapping[str, Path], state: State
) -> list[str]:
    """Write the file, readable by its owner alone: objects may be secret.

    Args:
        plan: The desired state.
        cluster_file: cluster.yaml; paths in it are relative to its folder.
        fetched: ``ArtifactFile.key`` to where the file is, for all of ``files``.
        state: Where it goes; a file whose content is right already is left alone.

    Returns:
        What the user should know of it.

    Raises:
        ConfigError: A manifest can't be used, a chart can't be rendered, or two describe the same object.
    """
    charts = user_manifests.renderer(plan.config, fetched, state.charts)
    with _problems_of("network.plugin", cluster_file):
        network, notes = pod_network_objects(plan, fetched, charts)
    entries = user_manifests.entries(plan.config, cluster_file, fetched, charts)
    groups = [*_groups(plan, network, entries)]
    with _problems_of("manifests", cluster_file):
        _require_unique(groups)
    charts.forget_others()
    _write(json.dumps([group.to_json() for group in groups], sort_keys=True), state.addons)
    return [*notes, *(note for entry in entries for note in entry.notes)]


@contextmanager
def _problems_of(path: str, cluster_file: Path) -> Iterator[None]:
    """Errors of the block as problems of a part of cluster.yaml."""
    try:
        yield
    except ObjectError as exc:
        raise ConfigError([Problem(cluster_file, 0, path, str(exc), "")]) from exc


def _write(text: str, target: Path) -> None:
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return
    private_files.replace(target, text.encode())


def _groups(
    plan: ClusterPlan, network: Sequence[Sourced], entries: Sequence[user_manifests.UserManifest]
) -> Iterator[Group]:
    if network:
        yield Group("pod-network", network, wait=True)
    dns = dns_objects(plan)
    if dns:  # without a pod network it has to wait for one that others bring
        yield Group("dns", dns, wait=plan.config.network.plugin != "none")
    for entry in entries:
        yield Group("manifests", entry.objects)


def _require_unique(groups: Sequence[Group]) -> None:
    seen: dict[tuple[str, str, str, str], Sourced] = {}
    for group in groups:
        for each in group.objects:
            first = seen.setdefault(each.identity, each)
            if first is not each:
                raise ObjectError(f"{each.place} and {first.place} both describe {each.title}")


def _labelled(item: Object, name: str) -> Object:
    metadata = item["metadata"]
    labelled = {**item, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), LABEL: name}}}
    if item["kind"] == "Secret" and isinstance(text := labelled.pop("stringData", None), dict):
        # the API server does the same, but does not note who applied it
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in text.items()}
        labelled["data"] = {**(labelled.get("data") or {}), **encoded}
    return labelled

"""The pod network where it is objects in the cluster: its project's manifest with cluster.yaml's settings."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from k8sbootstrap.addons.calico import set_calico
from k8sbootstrap.addons.flannel import set_flannel
from k8sbootstrap.addons.objects import Object, ObjectError, Sourced, read_objects
from k8sbootstrap.config.models import Network
from k8sbootstrap.plan.models import ClusterPlan

_SETTERS: Mapping[str, Callable[[list[Sourced], Network], list[Sourced]]] = {
    "flannel": set_flannel,
    "calico": set_calico,
}


def pod_network_objects(plan: ClusterPlan, fetched: Mapping[str, Path]) -> list[Sourced]:
    """The objects of the pod network; none where it needs none.

    Args:
        plan: The desired state.
        fetched: ``ArtifactFile.key`` to where the file is; it has the manifest.

    Raises:
        ObjectError: The manifest is not what the catalogue says.
    """
    network = plan.pod_network
    if network is None:
        return []
    source = str(network.manifest.url)
    objects = read_objects(fetched[network.manifest.key].read_text(encoding="utf-8"), source)
    known, named = {image.ref for image in network.images}, image_refs(objects)
    if named != known:
        both = " and ".join(sorted(named ^ known))
        raise ObjectError(f"{source} and the release catalogue differ in the images that they name: {both}")
    return _SETTERS[network.name](objects, plan.config.network)


def image_refs(objects: Sequence[Sourced]) -> set[str]:
    """References of the images that the pods of workloads use."""
    return {
        container["image"]
        for each in objects
        for container in _containers(each.object.get("spec", {}).get("template", {}).get("spec", {}))
    }


def _containers(pod: Object) -> list[Object]:
    return [*pod.get("initContainers", ()), *pod.get("containers", ())]

"""The pod network as objects in the cluster: its project's manifest or chart, with our settings."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from k8sbootstrap.addons import cilium
from k8sbootstrap.addons.calico import set_calico
from k8sbootstrap.addons.charts import Renderer
from k8sbootstrap.addons.flannel import set_flannel
from k8sbootstrap.addons.helm import Chart
from k8sbootstrap.addons.scopes import Scopes
from k8sbootstrap.catalog.models import PodNetwork
from k8sbootstrap.config.models.network import Network
from k8sbootstrap.formats.objects import Object, ObjectError, Sourced, read_objects
from k8sbootstrap.plan.models import ClusterPlan

_SETTERS: Mapping[str, Callable[[list[Sourced], Network], list[Sourced]]] = {
    "flannel": set_flannel,
    "calico": set_calico,
}


def pod_network_objects(
    plan: ClusterPlan, fetched: Mapping[str, Path], renderer: Renderer
) -> tuple[list[Sourced], list[str]]:
    """The objects of the pod network, and what the user should know of them; nothing where it needs none.

    Args:
        plan: The desired state.
        fetched: ``ArtifactFile.key`` to where the file is; it has the manifest.
        renderer: Renders charts.

    Raises:
        ObjectError: The manifest is not what the catalogue says, or the chart can't be rendered.
    """
    network = plan.pod_network
    if network is None:
        return [], []
    file = fetched[network.manifest.key]
    if network.is_chart:
        values = cilium.cilium_values(plan)
        chart = Chart(file, cilium.RELEASE, cilium.NAMESPACE, values=values)
        rendered = renderer.render(chart, Scopes())
        if not plan.config.network.cilium.values:  # these may name other images
            _require_known_images(network, rendered.objects)
        return rendered.objects, rendered.notes
    objects = read_objects(file.read_text(encoding="utf-8"), str(network.manifest.url))
    _require_known_images(network, objects)
    return _SETTERS[network.name](objects, plan.config.network), []


def _require_known_images(network: PodNetwork, objects: Sequence[Sourced]) -> None:
    known, named = {image.ref for image in network.images}, image_refs(objects)
    if named != known:
        both = " and ".join(sorted(named ^ known))
        source = network.manifest.url
        raise ObjectError(f"{source} and the release catalogue name different images: {both}")


def image_refs(objects: Sequence[Sourced]) -> set[str]:
    """References of the images that the pods of workloads use."""
    return {
        container["image"]
        for each in objects
        for container in _containers(each.object.get("spec", {}).get("template", {}).get("spec", {}))
    }


def _containers(pod: Object) -> list[Object]:
    return [*pod.get("initContainers", ()), *pod.get("containers", ())]

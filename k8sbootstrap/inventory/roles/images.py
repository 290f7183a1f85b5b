"""Variables of the roles that hold and run images: image_registry, container_runtime."""

from dataclasses import asdict
from typing import Any

from k8sbootstrap.inventory.files import copied
from k8sbootstrap.inventory.inputs import Inputs
from k8sbootstrap.inventory.model import Variables
from k8sbootstrap.plan.registries import RegistryPlan, with_local


def image_registry(inputs: Inputs) -> Variables:
    """Of the role ``image_registry``; none where the cluster has no registry of its own."""
    local = inputs.plan.local_registry
    if local is None:
        return {}
    return {
        "image_registry_cluster": inputs.cluster,
        "image_registry_port": local.port,
        "image_registry_data_folder": local.data_folder,
        "image_registry_images": [*inputs.stored_images],
        "image_registry_pki_dir": inputs.pki,
    }


def container_runtime(inputs: Inputs) -> Variables:
    """Of the role ``container_runtime``."""
    plan = inputs.plan
    return {
        "container_runtime_cluster": inputs.cluster,
        "container_runtime_name": plan.config.runtime.name,
        **inputs.files_of("container_runtime"),
        "container_runtime_sandbox_image": plan.release.pause.ref,
        "container_runtime_endpoint": plan.release.runtime_endpoint,
        "container_runtime_containerd_config": plan.release.containerd_config,
        "container_runtime_proxy": inputs.proxy,
        "container_runtime_registries": [_registry(registry) for registry in _registries(inputs)],
        "container_runtime_logins": inputs.logins,
        "container_runtime_docker": plan.config.runtime.docker.model_dump(),
    }


def _registries(inputs: Inputs) -> tuple[RegistryPlan, ...]:
    local, registries = inputs.plan.local_registry, inputs.plan.registries
    if local is None:
        return registries
    refs = [image["ref"] for image in inputs.stored_images]
    return with_local(registries, local, refs, inputs.state.pki / "ca.crt")


def _registry(registry: RegistryPlan) -> dict[str, Any]:
    return {
        "host": registry.host,
        "server": registry.server,
        "ca": copied(registry.ca) if registry.ca else None,
        "mirrors": [asdict(mirror) for mirror in registry.mirrors],
    }

"""Finds the fields in other projects' objects where settings go; a missing one is an error."""

import hashlib
import json
from collections.abc import Sequence

from k8sbootstrap.formats.objects import Object, ObjectError, Sourced

_CONFIG = "k8sbootstrap.io/config"
"""Annotation of pods with a digest of what they read only when they start."""


def find_object(objects: Sequence[Sourced], kind: str, name: str) -> Object:
    """The one object of a kind and name.

    Raises:
        ObjectError: There is none.
    """
    for each in objects:
        if each.object["kind"] == kind and each.object["metadata"]["name"] == name:
            return each.object
    raise ObjectError(f"{objects[0].source if objects else 'the manifest'} has no {kind} {name}")


def find_container(workload: Object, name: str) -> Object:
    """A container of a workload's pods.

    Raises:
        ObjectError: There is none of that name.
    """
    containers: list[Object] = workload["spec"]["template"]["spec"]["containers"]
    for container in containers:
        if container["name"] == name:
            return container
    raise ObjectError(f"{workload['kind']} {workload['metadata']['name']} has no container {name}")


def set_env(container: Object, name: str, entry: Object) -> None:
    """Give a container an environment variable, in place of one that it may have.

    Args:
        container: The container.
        name: Name of the variable.
        entry: ``value``, or ``valueFrom``.
    """
    others = [variable for variable in container.get("env", ()) if variable["name"] != name]
    container["env"] = [*others, {"name": name, **entry}]


def restart_with(workload: Object, config: Object) -> None:
    """Have the pods of a workload replaced whenever ``config`` changes."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:32]
    metadata = workload["spec"]["template"].setdefault("metadata", {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), _CONFIG: digest}

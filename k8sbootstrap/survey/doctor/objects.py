"""What is read of Kubernetes' objects. API servers are on hosts: what has another form is not used."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from k8sbootstrap.survey.upgrade.observe import CORDONED

T = TypeVar("T", bound="Form")


class Form(BaseModel):
    """A part of an object; fields that nobody reads are left out."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


def _own(found: object) -> object:
    """Of annotations only the one that is read: others may be long, and may hold anything."""
    return {key: found[key] for key in (CORDONED,) if key in found} if isinstance(found, dict) else found


class Metadata(Form):
    """Who an object is."""

    name: str = ""
    namespace: str = ""
    labels: Mapping[str, str] | None = None
    annotations: Annotated[Mapping[str, str] | None, BeforeValidator(_own)] = None
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class Condition(Form):
    """A condition of an object."""

    type: str
    status: str
    reason: str | None = None
    message: str | None = None
    last_transition_time: datetime | None = None


class Waiting(Form):
    """Why a container waits."""

    reason: str = ""
    message: str = ""


class Terminated(Form):
    """How a container ended."""

    exit_code: int = 0
    reason: str = ""
    finished_at: datetime | None = None


class ContainerState(Form):
    """What a container does."""

    waiting: Waiting | None = None
    terminated: Terminated | None = None


class Container(Form):
    """The status of a container."""

    name: str
    image: str = ""
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodSpec(Form):
    """Where a pod runs."""

    node_name: str = ""


class PodStatus(Form):
    """How a pod is."""

    phase: str = ""
    conditions: Sequence[Condition] | None = None
    init_container_statuses: Sequence[Container] | None = None
    container_statuses: Sequence[Container] | None = None


class Pod(Form):
    """A pod."""

    metadata: Metadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def name(self) -> str:
        """NAMESPACE/NAME."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def containers(self) -> tuple[Container, ...]:
        """All containers, those that run before the others first."""
        return (*(self.status.init_container_statuses or ()), *(self.status.container_statuses or ()))

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type."""
        return next((each for each in self.status.conditions or () if each.type == kind), None)


class NodeTaint(Form):
    """A taint of a node."""

    key: str
    time_added: datetime | None = None


class NodeSpec(Form):
    """What a node was given."""

    unschedulable: bool = False
    pod_cidr: str = Field(default="", alias="podCIDR")
    taints: Sequence[NodeTaint] | None = None


class NodeStatus(Form):
    """How a node is."""

    conditions: Sequence[Condition] | None = None


class Node(Form):
    """A node."""

    metadata: Metadata
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def cordoned_by(self) -> str | None:
        """What k8sbootstrap keeps pods off it for: see ``plan.phases.CORDONING``; None where it does not."""
        return (self.metadata.annotations or {}).get(CORDONED)

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type."""
        return next((each for each in self.status.conditions or () if each.type == kind), None)


class DeploymentSpec(Form):
    """What a deployment wants."""

    replicas: int = 1


class DeploymentStatus(Form):
    """What it has."""

    available_replicas: int = 0
    conditions: Sequence[Condition] | None = None


class Deployment(Form):
    """A deployment."""

    metadata: Metadata
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class InvolvedObject(Form):
    """What an event is about."""

    kind: str = ""
    namespace: str = ""
    name: str = ""


class Event(Form):
    """A warning."""

    involved_object: InvolvedObject = InvolvedObject()
    reason: str = ""
    message: str = ""
    last_timestamp: datetime | None = None


def items(text: str, form: type[T]) -> Iterator[T]:
    """The objects of a list that have the form; none where the text is no list.

    Args:
        text: What kubectl printed.
        form: Of each object.
    """
    try:
        document = from_json(text, allow_inf_nan=False)
    except (ValueError, RecursionError):
        return
    listed = document.get("items") if isinstance(document, dict) else None
    for item in listed if isinstance(listed, list) else ():
        try:
            yield form.model_validate(item)
        except (ValidationError, RecursionError):
            continue

"""What a host says of kube-bench, as types with bounds."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter
from pydantic.dataclasses import dataclass

from k8sbootstrap.formats.text import printable

_Text = Annotated[str, StringConstraints(max_length=2000), AfterValidator(printable)]


@dataclass(frozen=True)
class Told:
    """What kube-bench says of one control."""

    id: Annotated[str, StringConstraints(max_length=20)]
    status: Literal["PASS", "WARN", "FAIL", "INFO"]
    ran: bool
    """Whether its command could judge."""
    seen: _Text
    """What was seen, as far as it can't be a secret."""
    reason: _Text
    """Why its command could not judge."""
    remediation: _Text


@dataclass(frozen=True)
class RunTold:
    """What one run of kube-bench says."""

    target: _Text
    error: _Text
    """Why there are no controls; empty where there are."""
    controls: Annotated[list[Told], Field(max_length=1000)]


@dataclass(frozen=True)
class HostTold:
    """What one host says."""

    runs: Annotated[list[RunTold], Field(max_length=10)]


FORM = TypeAdapter(HostTold)

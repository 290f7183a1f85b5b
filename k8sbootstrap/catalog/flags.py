"""Flags that a component takes in some minors only, or took once. The data is ``flags.yaml``."""

from collections.abc import Mapping
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, TypeAdapter

from k8sbootstrap.catalog.data import numbers
from k8sbootstrap.formats.bounded import load_own_yaml

FLAGS = "flags.yaml"


class Differences(BaseModel):
    """Flags of one component that not every minor takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gone: Mapping[str, str] = {}
    """Flags that no catalogued minor takes any more, each with what can be done instead; empty: remove it."""
    until: Mapping[str, Mapping[str, str]] = {}
    """By the first minor that no longer takes them: flags, each with what can be done instead."""
    since: Mapping[str, tuple[str, ...]] = {}
    """Flags by the first minor that takes them."""

    def not_taken(self, minor: str) -> dict[str, str]:
        """Flags that this minor does not take, each with what can be done instead."""
        mine = numbers(minor)
        ended = [self.gone, *(flags for end, flags in self.until.items() if numbers(end) <= mine)]
        old = {flag: instead or "remove it" for flags in ended for flag, instead in flags.items()}
        return old | {
            flag: f"remove it, or use Kubernetes {start} or later"
            for start, flags in self.since.items()
            if numbers(start) > mine
            for flag in flags
        }


@cache
def differences() -> Mapping[str, Differences]:
    """The differences of each component, by component.

    Raises:
        pydantic.ValidationError: The file has an unknown key.
    """
    text = resources.files("k8sbootstrap.catalog").joinpath(FLAGS).read_text(encoding="utf-8")
    document = load_own_yaml(text)
    return TypeAdapter(Mapping[str, Differences]).validate_python(document)


def not_taken(component: str, minor: str) -> dict[str, str]:
    """Flags that a component of this minor does not take though others do, to what can be done instead.

    Args:
        component: As in kubelet.
        minor: As in 1.36.
    """
    known = differences().get(component)
    return known.not_taken(minor) if known else {}

"""A command as a list of steps, and what runs it."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from k8sbootstrap.errors import HostError

C_contra = TypeVar("C_contra", contravariant=True)


class StepReporter(Protocol):
    """Takes the messages of a step."""

    def note(self, text: str) -> None:
        """Record and show a message."""

    def status(self, text: str) -> None:
        """Show what the step does now; any thread may call this."""


BeginStep = Callable[[str, str], AbstractContextManager[StepReporter]]
"""Called with a step's name and title around each step, to report and time it."""


@dataclass(frozen=True)
class Step(Generic[C_contra]):
    """One step of a command."""

    name: str
    """Records of runs and scripts have it."""
    title: str
    """Shown to people. Empty for a step that is not reported as one, such as the question to the user."""
    do: Callable[[C_contra, StepReporter], None]
    """Does the work. It reads what earlier steps found from the context, and stores what later steps need."""
    needed: Callable[[C_contra], bool] = lambda _: True
    """Decides from what earlier steps found whether the step is taken."""
    may_fail: bool = False
    """Whether the command continues when the step fails because of a host."""


def take(steps: Iterable[Step[C_contra]], context: C_contra, begin: BeginStep) -> None:
    """Do steps, one after the other, each as far as it is needed.

    Args:
        steps: In their order.
        context: What the steps share.
        begin: Reports each step that has a title.

    Raises:
        K8sBootstrapError: A step failed; no later one was done.
    """
    for step in steps:
        if step.needed(context):
            reported = begin(step.name, step.title) if step.title else nullcontext(_Silent())
            with suppress(HostError) if step.may_fail else nullcontext(), reported as reporter:
                step.do(context, reporter)


class _Silent:
    """Drops the messages of steps that are not reported."""

    def note(self, text: str) -> None:
        """Drop the message."""

    def status(self, text: str) -> None:
        """Drop the message."""

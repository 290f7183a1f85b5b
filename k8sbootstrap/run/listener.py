"""The interfaces between a run and its listeners, such as the user's hooks."""

from contextlib import AbstractContextManager
from typing import Protocol

from k8sbootstrap.run.board import Board
from k8sbootstrap.run.events import Event
from k8sbootstrap.run.phase_gate import Gate
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import RunRecord


class RunListener(Protocol):
    """Takes part in a run: it may stop ``ansible-playbook`` before each phase."""

    def around_phases(self, *, is_part: bool) -> AbstractContextManager[Gate | None]:
        """Surround a playbook.

        Args:
            is_part: Another playbook follows and has more of the same phases.

        Returns:
            Where Ansible waits before each phase; None if it need not wait.
        """

    def follow(self, event: Event) -> None:
        """Follow an event of the run."""


class RunView(Protocol):
    """What a listener may use of the run."""

    record: RunRecord
    reporter: Reporter
    board: Board
    listener: RunListener | None

    def note(self, event: Event) -> None:
        """Record and show an event of this program itself."""

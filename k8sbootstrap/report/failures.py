"""Why a run did not come through: which hosts, at which task, what the command said."""

from dataclasses import dataclass

from k8sbootstrap.formats.text import some
from k8sbootstrap.plan.phases import title
from k8sbootstrap.report.history import History
from k8sbootstrap.run.events import Failure, TaskResult
from k8sbootstrap.run.failure import REASON_LINES, reason

_NAMES = 24
"""Hosts named in one failure; the table of hosts has all."""


@dataclass(frozen=True)
class FailureCard:
    """One failure, of all the hosts that had the same."""

    hosts: str
    unreachable: bool
    phase: str
    task: str
    role: str
    reason: tuple[str, ...]
    """Message, command, the end of its output."""
    output: str
    """All of the output that was kept, where ``reason`` has only its end."""


def failure_cards(history: History) -> tuple[FailureCard, ...]:
    """The failures that cost a host the run; equal ones together, in the order in which they came."""
    alike: dict[tuple[str, str, str, str, Failure | None], list[TaskResult]] = {}
    for result in history.board.fatal():
        key = (result.phase, result.task, result.role, result.status, result.failure)
        alike.setdefault(key, []).append(result)
    return tuple(_card(results) for results in alike.values())


def _card(results: list[TaskResult]) -> FailureCard:
    first = results[0]
    failure = first.failure or Failure()
    output = "\n".join(filter(None, (failure.stdout, failure.stderr)))
    shown = (failure.stderr or failure.stdout) == output and len(output.splitlines()) <= REASON_LINES
    return FailureCard(
        hosts=some([result.host for result in results], _NAMES),
        unreachable=first.status == "unreachable",
        phase=title(first.phase),
        task=first.task,
        role=first.role,
        reason=tuple(reason(first)),
        output="" if shown else output,
    )

"""Hooks: the commands that cluster.yaml names, run before and after the run and its phases.

The run waits for each. A phase or run whose ``before`` hooks began always gets its ``after`` hooks, however
it ends, so that they can undo what the others did.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import cast

from k8sbootstrap.config.models.base import HookPoint
from k8sbootstrap.errors import HookError
from k8sbootstrap.plan.changes import Change
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.plan.phases import PHASES
from k8sbootstrap.run.events import Event, PhaseDue, TaskResult
from k8sbootstrap.run.failure import describe
from k8sbootstrap.run.hook_calls import HookCalls
from k8sbootstrap.run.hook_event import PhaseOutcome
from k8sbootstrap.run.listener import RunView
from k8sbootstrap.run.phase_gate import Gate
from k8sbootstrap.run.record import Outcome

_PHASES = {phase.name for phase in PHASES}


@contextmanager
def hooked(run: RunView, name: HookPoint, plan: ClusterPlan, cluster_file: Path) -> Iterator[None]:
    """Run the hooks of the whole run around the block, and let its playbooks run those of their phases.

    Args:
        run: The run, just begun.
        name: What hooks call it: ``up`` or ``reset``.
        plan: The cluster, with its hooks.
        cluster_file: Where the hooks come from; they run in its folder.

    Raises:
        HookError: A hook failed that must not, and nothing else ended the block.
    """
    if not plan.config.hooks:
        yield
        return
    hooks = Hooks(run, plan, cluster_file)
    run.listener = hooks
    with hooks.around_run(name):
        yield


@dataclass(frozen=True)
class _Phase:
    """A phase whose ``before`` hooks have begun."""

    name: HookPoint
    hosts: tuple[str, ...]


class Hooks:
    """The hooks of one run.

    Args:
        run: The run: told what hooks do, asked how its phases went.
        plan: The cluster, with its hooks.
        cluster_file: Where the hooks come from.
    """

    def __init__(self, run: RunView, plan: ClusterPlan, cluster_file: Path) -> None:
        self._run = run
        self._calls = HookCalls(run, plan, cluster_file)
        self._hosts = tuple(host.name for host in plan.hosts)
        self._wait = any(_PHASES & {*hook.before, *hook.after} for hook in plan.config.hooks)
        self._gate: Gate | None = None
        self._phase: _Phase | None = None
        self._changes: dict[str, dict[str, list[Change]]] = defaultdict(lambda: defaultdict(list))
        """By host and phase."""

    @contextmanager
    def around_run(self, name: HookPoint) -> Iterator[None]:
        """Run the hooks of the run itself before and after the block.

        Raises:
            HookError: A hook failed that must not, and nothing else ended the block.
        """
        try:
            self._calls.before(name, self._hosts)
            yield
        except BaseException as exc:
            with suppress(HookError):  # it has been shown; what ended the run is the error to end with
                self._end_run(name, exc)
            raise
        self._end_run(name, None)

    @contextmanager
    def around_phases(self) -> Iterator[Gate | None]:
        """Run the hooks of phases while a playbook runs in the block.

        Yields:
            Where Ansible must wait before each phase; None if no phase has hooks.

        Raises:
            HookError: A hook failed that must not, and nothing else ended the block.
        """
        if not self._wait:
            yield None
            return
        with closing(Gate()) as self._gate:
            try:
                yield self._gate
            except BaseException as exc:
                with suppress(HookError):
                    # where Ansible came to its end, an earlier phase may be the one that failed
                    self._end_phase(exc if self._run.board.stats is None else None)
                raise
            self._end_phase(None)

    def follow(self, event: Event) -> None:
        """Follow an event of the run. Between two phases run the hooks, then let Ansible go on.

        Raises:
            HookError: A hook failed that must not.
        """
        if isinstance(event, TaskResult) and event.status == "changed":
            self._changes[event.host][event.phase] += event.changes or (Change(text=event.task),)
        elif isinstance(event, PhaseDue) and self._gate is not None:
            self._end_phase(None)
            self._begin_phase(event)
            self._gate.open()

    def _begin_phase(self, event: PhaseDue) -> None:
        lost = {result.host for result in self._run.board.fatal()}
        hosts = tuple(host for host in event.hosts if host not in lost)
        if event.phase in _PHASES and hosts:
            self._phase = _Phase(cast("HookPoint", event.phase), hosts)
            self._calls.before(self._phase.name, hosts)

    def _end_phase(self, exc: BaseException | None) -> None:
        phase, self._phase = self._phase, None
        if phase is None:
            return
        board = self._run.board
        state = board.phases.get(phase.name)
        errors = [describe(failure) for failure in board.fatal() if failure.phase == phase.name]
        result = PhaseOutcome(
            outcome="failed" if errors and exc is None else _outcome(exc),
            seconds=(state.finished or time.time()) - state.started if state else 0.0,
            error="\n".join([*errors, *_words(exc)]),
            counts=state.hosts if state else {},
            changes={host: self._changes[host][phase.name] for host in phase.hosts},
        )
        self._calls.after(phase.name, phase.hosts, result)

    def _end_run(self, name: HookPoint, exc: BaseException | None) -> None:
        result = PhaseOutcome(
            outcome=_outcome(exc),
            seconds=(datetime.now(UTC) - self._run.record.started).total_seconds(),
            error="\n".join(_words(exc)),
            counts=self._run.board.hosts,
            changes={host: [*chain(*self._changes[host].values())] for host in self._hosts},
        )
        self._calls.after(name, self._hosts, result)


def _outcome(exc: BaseException | None) -> Outcome:
    if exc is None:
        return "ok"
    return "interrupted" if isinstance(exc, KeyboardInterrupt) else "failed"


def _words(exc: BaseException | None) -> list[str]:
    """What ended a phase or a run, if something did."""
    if exc is None:
        return []
    return [str(exc) or ("interrupted" if isinstance(exc, KeyboardInterrupt) else type(exc).__name__)]

"""Hooks: the commands that cluster.yaml names, run before and after the run and its phases.

The run waits for each. A phase or run whose ``before`` hooks began always gets its ``after`` hooks, however
it ends, so that they can undo what the others did.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
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

_PHASES = tuple(phase.name for phase in PHASES)


@contextmanager
def hooked(run: RunView, name: HookPoint, plan: ClusterPlan, cluster_file: Path) -> Iterator[None]:
    """Run the hooks of the whole run around the block, and let its playbooks run those of their phases.

    Args:
        run: The run, just begun.
        name: What hooks call it: the command, such as ``up``.
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
        self._wait = any({*_PHASES} & {*hook.before, *hook.after} for hook in plan.config.hooks)
        self._gate: Gate | None = None
        self._is_part = False
        self._phase: _Phase | None = None
        self._unfinished: dict[str, _Phase] = {}
        """Those of earlier playbooks of the run, of which another one has more."""
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
            self._end_unfinished(_PHASES, None)
        except BaseException as exc:
            with suppress(HookError):  # it has been shown; what ended the run is the error to end with
                self._end_unfinished(_PHASES, exc)
            with suppress(HookError):
                self._end_run(name, exc)
            raise
        self._end_run(name, None)

    @contextmanager
    def around_phases(self, *, is_part: bool) -> Iterator[Gate | None]:
        """Run the hooks of phases while a playbook runs in the block.

        Args:
            is_part: Another playbook follows and has more of the same phases: hooks after them run then.

        Yields:
            Where Ansible must wait before each phase; None if no phase has hooks.

        Raises:
            HookError: A hook failed that must not, and nothing else ended the block.
        """
        if not self._wait:
            yield None
            return
        self._is_part = is_part
        with closing(Gate()) as self._gate:
            try:
                yield self._gate
            except BaseException as exc:
                with suppress(HookError):
                    # where Ansible came to its end, an earlier phase may be the one that failed
                    self._end_phase(exc if self._run.board.stats is None else None)
                raise
            self._end_phase(None)
            if not is_part:
                self._end_unfinished(_PHASES, None)

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
        if event.phase not in _PHASES or not hosts:
            return
        if not self._is_part:
            self._end_unfinished(_PHASES[: _PHASES.index(event.phase)], None)
        name = cast("HookPoint", event.phase)
        begun = self._unfinished.pop(name, None)
        if begun:
            self._phase = _Phase(name, tuple(dict.fromkeys([*begun.hosts, *hosts])))
        else:
            self._phase = _Phase(name, hosts)
            self._calls.before(name, hosts)

    def _end_phase(self, exc: BaseException | None) -> None:
        phase, self._phase = self._phase, None
        if phase and self._is_part and exc is None:
            self._unfinished[phase.name] = phase
        elif phase:
            self._call_after(phase, exc)

    def _end_unfinished(self, names: Sequence[str], exc: BaseException | None) -> None:
        """Run the hooks after those of these phases that no playbook has more of.

        Raises:
            HookError: The first failure of one that must not fail; the others ran, too.
        """
        failures = []
        for name in names:
            phase = self._unfinished.pop(name, None)
            if phase is None:
                continue
            try:
                self._call_after(phase, exc)
            except HookError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    def _call_after(self, phase: _Phase, exc: BaseException | None) -> None:
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

"""A run: one command that changes hosts, from taking the lock to closing the record.

``up`` and every other command with playbooks go through ``running``: they differ only in what happens inside.
"""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Literal, NoReturn

from k8sbootstrap import __version__
from k8sbootstrap.errors import HostError, InterruptedRunError, K8sBootstrapError
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.plan.phases import title as phase_title
from k8sbootstrap.run import ansible, lock
from k8sbootstrap.run.board import Board
from k8sbootstrap.run.events import Event, RunStarted, StepFinished, StepNote, StepStarted, parse
from k8sbootstrap.run.failure import describe
from k8sbootstrap.run.listener import RunListener
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import RunRecord, Summary
from k8sbootstrap.state import State

_INTERRUPTS = (signal.SIGTERM, signal.SIGHUP)
_LOG_LINES = 15
"""Lines of Ansible's log shown when it ends without saying what went wrong."""


@dataclass
class Run:
    """A run in progress."""

    state: State
    record: RunRecord
    reporter: Reporter
    board: Board = field(default_factory=Board)
    listener: RunListener | None = None
    """The user's hooks, if cluster.yaml has any."""
    summary: Summary | None = None
    """Set when the run has ended."""
    step_title: str = ""
    """Title of the step that runs, or ran last."""

    @property
    def current(self) -> str:
        """Title of the phase or step in progress; empty at the start."""
        phase = self.board.current
        return self.step_title if phase is None else phase_title(phase.name)

    @property
    def result(self) -> Summary:
        """How the run went; asked for after it ended."""
        if self.summary is None:
            raise RuntimeError("the run has not ended")
        return self.summary

    @contextmanager
    def step(self, name: str, title: str) -> Iterator["OpenStep"]:
        """Do something that this program does itself; it is reported, timed and recorded."""
        self.step_title = title
        started = time.time()
        self.note(StepStarted(time=started, step=name, title=title))
        outcome: Literal["ok", "failed"] = "failed"
        try:
            yield OpenStep(self, name, title)
            outcome = "ok"
        finally:
            now = time.time()
            seconds = round(now - started, 1)
            self.note(StepFinished(time=now, step=name, title=title, outcome=outcome, seconds=seconds))

    def playbook(
        self,
        playbook: Path,
        hosts: Sequence[HostPlan],
        inventory: Path,
        *,
        check: bool = False,
        is_part: bool = False,
    ) -> None:
        """Run a playbook.

        Args:
            playbook: Its file.
            hosts: All hosts of the cluster.
            inventory: The inventory directory.
            check: Change nothing, only say what would be changed.
            is_part: Another playbook follows and has more of the same phases.

        Raises:
            HostError: A task failed on a host or a host could not be reached. The other hosts went on.
            HookError: A hook failed that must not.
            K8sBootstrapError: Ansible itself failed.
        """
        log = self.record.log
        position = log.stat().st_size
        self.board.stats = None

        def show_log() -> None:
            nonlocal position
            with log.open("rb") as file:
                file.seek(position)
                text = file.read()
            position += len(text)
            if text:
                self.reporter.log(text.decode(errors="replace"))

        with self.listener.around_phases(is_part=is_part) if self.listener else nullcontext() as gate:
            code = ansible.run_playbook(
                playbook,
                hosts=hosts,
                inventory=inventory,
                log=log,
                on_line=self._take_line,
                on_tick=show_log,
                gate=gate,
                check=check,
            )
            show_log()
            check_outcome(code, self.board, log, len(hosts))

    def _take_line(self, line: str) -> None:
        self.record.write_line(line)
        event = parse(line)
        if event is not None:
            self._report(event)

    def note(self, event: Event) -> None:
        """Record and show an event of this program itself."""
        self.record.write(event)
        self._report(event)

    def _report(self, event: Event) -> None:
        self.board.apply(event)
        self.reporter.handle(event, self.board)
        if self.listener:
            self.listener.follow(event)


@dataclass(frozen=True)
class OpenStep:
    """A step in progress; it takes the step's messages."""

    run: Run
    name: str
    title: str

    def note(self, text: str) -> None:
        """Record and show a message."""
        self.run.note(StepNote(time=time.time(), step=self.name, title=self.title, text=text))

    def status(self, text: str) -> None:
        """Show what the step does now. It is not recorded. Any thread may call this."""
        self.run.reporter.status(text)


@contextmanager
def running(state: State, command: str, reporter: Reporter) -> Iterator[Run]:
    """A run of ``command`` (such as ``k8sbootstrap up``) for the ``with`` block.

    Raises:
        LockedError: Another command is changing this cluster.
        InterruptedRunError: The user or the system stopped the run.
    """
    state.create()
    with signals_interrupt(), lock.hold(state.lock, command), reporter:
        run = Run(state, RunRecord.begin(state, command), reporter)
        run.note(RunStarted(time=time.time(), command=command, program=__version__))
        try:
            yield run
        except KeyboardInterrupt as exc:
            current = str(exc) or run.current
            during = f" during: {current}" if current else ""
            hint = "Run the same command again: it continues from there."
            run.summary = run.record.finish("interrupted", run.board, f"interrupted{during}", hint)
            raise InterruptedRunError(f'"{command}" was interrupted{during}', hint) from None
        except BaseException as exc:
            hint = exc.hint if isinstance(exc, K8sBootstrapError) else ""
            run.summary = run.record.finish("failed", run.board, str(exc) or type(exc).__name__, hint)
            raise
        run.summary = run.record.finish("ok", run.board)


def check_outcome(code: int, board: Board, log: Path, hosts: int) -> None:
    """Raise what ``code``, Ansible's exit code, and the failures on ``board`` amount to.

    Args:
        code: Exit code; negative when a signal killed Ansible.
        board: What the playbook's events added up to.
        log: Ansible's own output.
        hosts: How many hosts there are.
    """
    fatal = board.fatal()
    if fatal:
        went_on = "; the others continued" if len(fatal) < hosts else ""
        raise HostError(
            "\n".join([f"{len(fatal)} of {hosts} hosts failed{went_on}", *map(describe, fatal)]),
            hint="Fix the failures above, then run the same command again: it continues from "
            f"there. The output of Ansible is in {log}.",
        )
    if code or board.stats is None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        raise K8sBootstrapError(
            "\n".join([f"ansible-playbook {how} before the end of the playbook:", *lines]),
            hint=f"See its output in {log}.",
        )


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Have SIGTERM and SIGHUP interrupt the block as Ctrl-C does."""
    wanted = [
        number for number in _INTERRUPTS if signal.getsignal(number) is not signal.SIG_IGN
    ]  # nohup stays
    previous = {number: signal.signal(number, _interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    raise KeyboardInterrupt

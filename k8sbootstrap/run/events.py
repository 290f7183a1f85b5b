"""What happens during a run, as typed events, and their form as lines of JSON.

Ansible's side of the pipe is ``playbooks/callback_plugins/k8sbootstrap_events.py``; steps that this program
does itself are events of the same stream. The run record keeps all of them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter

from k8sbootstrap.plan.changes import Change

VERSION = 1
"""Version of the line format that this module writes and understands."""

Status = Literal["ok", "changed", "failed", "skipped", "unreachable"]
When = Literal["before", "after"]


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """A command begins. It is the first event of a run."""

    time: float
    """Seconds since the epoch, as in all events."""
    command: str
    """What the user ran, such as ``k8sbootstrap up``."""
    program: str
    """Version of k8sbootstrap."""


@dataclass(frozen=True, kw_only=True)
class StepStarted:
    """A step of this program itself (preflight, certificates, ...) begins."""

    time: float
    step: str
    title: str


@dataclass(frozen=True, kw_only=True)
class StepNote:
    """A message of a step."""

    time: float
    step: str
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class StepFinished:
    """A step ended."""

    time: float
    step: str
    title: str
    outcome: Literal["ok", "failed"]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class PlaybookStarted:
    """ansible-playbook has parsed everything and begins."""

    time: float
    playbook: str


@dataclass(frozen=True, kw_only=True)
class PhaseDue:
    """Ansible waits before the first play of a phase, because hooks may have to run first."""

    time: float
    phase: str
    hosts: tuple[str, ...]
    """Hosts of all its plays, also those that failed before."""


@dataclass(frozen=True, kw_only=True)
class PlayStarted:
    """A play begins; a phase may have several, and a play with ``serial`` begins once per batch."""

    time: float
    phase: str
    play: str
    hosts: tuple[str, ...]
    """Hosts of this batch that are still taking part."""


@dataclass(frozen=True, kw_only=True)
class TaskStarted:
    """A task begins on the first of its hosts."""

    time: float
    phase: str
    task: str
    role: str
    action: str
    handler: bool


@dataclass(frozen=True, kw_only=True)
class TaskRetried:
    """A task that waits for something tries once more."""

    time: float
    phase: str
    host: str
    task: str
    role: str
    action: str
    attempt: int
    retries: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a task failed on a host."""

    hidden: bool = False
    """The task hides its output because that may hold secrets; all else is empty then."""
    item: str = ""
    """Loop item it failed for."""
    msg: str = ""
    rc: int | None = None
    cmd: str = ""
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """A task ended on one host."""

    time: float
    phase: str
    host: str
    task: str
    role: str
    action: str
    status: Status
    seconds: float
    ignored: bool = False
    """It failed and the playbook goes on regardless."""
    changes: tuple[Change, ...] = ()
    """What it changed, where the module says so."""
    warnings: tuple[str, ...] = ()
    diff: Any = None
    """What Ansible shows with --diff, in its own form."""
    failure: Failure | None = None


@dataclass(frozen=True, kw_only=True)
class HostStats:
    """Ansible's own count of a host's failed results: it decides whether the host succeeded."""

    ok: int = 0
    changed: int = 0
    failures: int = 0
    unreachable: int = 0


@dataclass(frozen=True, kw_only=True)
class Stats:
    """The playbook ended."""

    time: float
    hosts: Mapping[str, HostStats] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class HookStarted:
    """A command of the user begins."""

    time: float
    command: tuple[str, ...]
    when: When
    phase: str
    """The phase, or the command whose whole run it is, such as ``up``."""


@dataclass(frozen=True, kw_only=True)
class HookFinished:
    """A command of the user ended."""

    time: float
    command: tuple[str, ...]
    when: When
    phase: str
    rc: int | None
    """Its exit code, negative when a signal killed it; None when it never began."""
    seconds: float
    failure: str = ""
    """What is wrong with how it ended, in words; empty when nothing is."""
    stderr: tuple[str, ...] = ()
    """The last lines of its standard error, if it failed."""
    ignored: bool = False
    """It failed and the run goes on regardless."""


Event = (
    RunStarted
    | StepStarted
    | StepNote
    | StepFinished
    | PlaybookStarted
    | PhaseDue
    | PlayStarted
    | TaskStarted
    | TaskRetried
    | TaskResult
    | Stats
    | HookStarted
    | HookFinished
)

_KINDS: dict[str, type[Event]] = {
    "run_started": RunStarted,
    "step_started": StepStarted,
    "step_note": StepNote,
    "step_finished": StepFinished,
    "playbook_started": PlaybookStarted,
    "phase_due": PhaseDue,
    "play_started": PlayStarted,
    "task_started": TaskStarted,
    "task_retried": TaskRetried,
    "task_result": TaskResult,
    "stats": Stats,
    "hook_started": HookStarted,
    "hook_finished": HookFinished,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_ADAPTERS: dict[str, TypeAdapter[Event]] = {name: TypeAdapter(kind) for name, kind in _KINDS.items()}


def parse(line: str) -> Event | None:
    """The event in ``line``.

    Returns:
        None for a kind or version this program does not know, and for a line cut off by a crash.

    Raises:
        ValueError: A known kind lacks a field or has one of the wrong type.
    """
    try:
        document = json.loads(line)
    except json.JSONDecodeError:
        return None
    if not isinstance(document, dict) or document.get("v") != VERSION:
        return None
    adapter = _ADAPTERS.get(document.get("kind", ""))
    return adapter.validate_python(document) if adapter else None


def encode(event: Event) -> str:
    """``event`` as one line without the newline; ``parse`` gives it back."""
    return json.dumps({"v": VERSION, "kind": _NAMES[type(event)], **asdict(event)})

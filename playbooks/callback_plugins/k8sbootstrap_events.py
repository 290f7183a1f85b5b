"""Tells k8sbootstrap what a playbook does while it does it: one JSON object per line on a pipe.

Silent unless K8SBOOTSTRAP_EVENTS_FD names an open file descriptor, so plain ansible-playbook runs are not
touched. ``k8sbootstrap.run.events`` reads the lines; VERSION goes up when an old reader would misread
them. Output that a task hides with no_log never reaches the pipe: only its status and warnings do. If
K8SBOOTSTRAP_GO_FD names a descriptor too, every phase waits for a byte on it before it begins.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.plugins.callback import CallbackBase

if TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult
    from ansible.inventory.host import Host
    from ansible.playbook import Playbook
    from ansible.playbook.play import Play
    from ansible.playbook.task import Task

DOCUMENTATION = """
name: k8sbootstrap_events
type: aggregate
short_description: writes one JSON object per event to a pipe
description:
  - Inert unless the environment variable K8SBOOTSTRAP_EVENTS_FD names an open file descriptor.
"""

FD_VARIABLE = "K8SBOOTSTRAP_EVENTS_FD"
GO_VARIABLE = "K8SBOOTSTRAP_GO_FD"
VERSION = 1
_LOGIN = re.compile(r"://[^\s/\"'<>\\]*@")
"""User and password in a URL."""
TEXT_LIMIT = 8000
"""Characters kept of a failed command's output: the end, where the reason usually is."""


class CallbackModule(CallbackBase):
    """Writes events; has no options, so that it needs no configuration to load."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "k8sbootstrap_events"

    def __init__(self) -> None:
        super().__init__()
        fd = os.environ.get(FD_VARIABLE)
        self.disabled = fd is None
        if fd is None:
            return
        self._fd = int(fd)
        os.set_inheritable(self._fd, False)  # noqa: FBT003 - ssh's background processes must not keep the pipe open
        self._gate = _Gate()
        self._phase = ""
        self._started: dict[tuple[str, str], float] = {}
        self._retries: Counter[tuple[str, str]] = Counter()
        self._failed_items: dict[tuple[str, str], CallbackTaskResult] = {}

    def v2_playbook_on_start(self, playbook: Playbook) -> None:
        self._gate.plays = playbook.get_plays()
        self._emit("playbook_started", playbook=Path(playbook._file_name).stem)  # noqa: SLF001

    def v2_playbook_on_play_start(self, play: Play) -> None:
        before, self._phase = self._phase, _phase(play)
        if self._gate.closed and self._phase != before:
            self._emit("phase_due", phase=self._phase, hosts=self._gate.hosts(play))
            self._gate.wait()
        variables = play.get_variable_manager().get_vars(play=play, include_hostvars=False)
        hosts = [str(host) for host in variables["ansible_play_batch"]]
        self._emit("play_started", phase=self._phase, play=play.get_name(), hosts=hosts)

    def v2_playbook_on_task_start(self, task: Task, is_conditional: bool) -> None:  # noqa: ARG002, FBT001
        self._emit("task_started", **self._task(task), handler=False)

    def v2_playbook_on_handler_task_start(self, task: Task) -> None:
        self._emit("task_started", **self._task(task), handler=True)

    def v2_runner_on_start(self, host: Host, task: Task) -> None:
        self._started[host.get_name(), task._uuid] = time.monotonic()  # noqa: SLF001

    def v2_runner_retry(self, result: CallbackTaskResult) -> None:
        # Counted here: "attempts" is the attempt that failed before ansible-core 2.21, the next one since.
        self._retries[_key(result)] += 1
        self._emit(
            "task_retried",
            **self._task(result.task),
            host=result.host.get_name(),
            attempt=self._retries[_key(result)],
            retries=int(result.result.get("retries", 0)),
        )

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        self._result(result, "changed" if result.is_changed() else "ok")

    def v2_runner_on_skipped(self, result: CallbackTaskResult) -> None:
        self._result(result, "skipped")

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        self._result(result, "unreachable", failure=self._failure(result))

    def v2_runner_item_on_failed(self, result: CallbackTaskResult) -> None:
        # Since ansible-core 2.21 the result of the task does not say which items failed.
        self._failed_items.setdefault(_key(result), result)

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:  # noqa: FBT001, FBT002
        self._result(result, "failed", ignored=bool(ignore_errors), failure=self._failure(result))

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        self._emit("stats", hosts={str(host): stats.summarize(host) for host in sorted(stats.processed)})

    def _result(self, result: CallbackTaskResult, status: str, **more: Any) -> None:
        started = self._started.pop(_key(result), None)
        body = result.result
        self._emit(
            "task_result",
            **self._task(result.task),
            host=result.host.get_name(),
            status=status,
            seconds=0.0 if started is None else round(time.monotonic() - started, 3),
            changes=_changes(body.get("changes")),
            warnings=_texts(body.get("warnings")),
            diff=None if _hidden(result) else body.get("diff"),
            **more,
        )

    def _failure(self, result: CallbackTaskResult) -> dict[str, Any]:
        """Why a task failed, from its result or, for a loop, from the first item that failed."""
        item = self._failed_items.pop(_key(result), None)
        cause = item or result
        if _hidden(result) or _hidden(cause):
            return {"hidden": True}
        body = cause.result
        msg = _end(body.get("msg"))
        root = "" if item else _root_cause(result)
        return {
            "item": str(body.get("_ansible_item_label", body.get("item", ""))) if item else "",
            "msg": msg if root in msg else f"{msg.rstrip('.')}: {root}",
            "rc": body.get("rc") if isinstance(body.get("rc"), int) else None,
            "cmd": _command(body.get("cmd")),
            "stdout": _end(body.get("stdout", body.get("module_stdout"))),
            "stderr": _end(body.get("stderr", body.get("module_stderr"))),
        }

    def _task(self, task: Task) -> dict[str, Any]:
        # The task's own name, not get_name(): that one repeats the role.
        return {
            "phase": self._phase,
            "task": str(task.name or task.action),
            "role": str(task._role.get_name()) if task._role else "",  # noqa: SLF001
            "action": str(task.action),
        }

    def _emit(self, kind: str, **fields: Any) -> None:
        event = {"v": VERSION, "kind": kind, "time": round(time.time(), 3), **fields}
        data = _LOGIN.sub("://***@", json.dumps(event, default=str)).encode() + b"\n"
        while data:
            data = data[os.write(self._fd, data) :]


class _Gate:
    """Where phases wait until the runner has done what it wants done before them.

    It is there only if GO_VARIABLE names a pipe. The runner writes one byte per phase; if it dies, the pipe
    ends, and so does the wait.
    """

    def __init__(self) -> None:
        fd = os.environ.get(GO_VARIABLE)
        self.closed = fd is not None
        self.plays: list[Play] = []
        if fd is not None:
            self._fd = int(fd)
            os.set_inheritable(self._fd, False)  # noqa: FBT003 - only this process waits

    def hosts(self, first: Play) -> list[str]:
        """Hosts of all plays of the phase that ``first`` begins, in the inventory's order."""
        inventory = first.get_variable_manager()._inventory  # noqa: SLF001
        named = {
            host.name
            for play in self.plays
            if _phase(play) == _phase(first)
            for host in inventory.get_hosts(play.hosts, ignore_restrictions=True)  # else only those of first
        }
        everyone = inventory.get_hosts("all", ignore_restrictions=True)
        return [host.name for host in everyone if host.name in named]

    def wait(self) -> None:
        os.read(self._fd, 1)


def _phase(play: Play) -> str:
    """The phase of a play: import_playbook keeps where it was written, and that file's name is it."""
    return Path(play.get_path().rpartition(":")[0]).stem


def _key(result: CallbackTaskResult) -> tuple[str, str]:
    return result.host.get_name(), result.task._uuid  # noqa: SLF001


def _hidden(result: CallbackTaskResult) -> bool:
    body = result.result
    return bool(result.task.no_log or body.get("_ansible_no_log") or "censored" in body)


def _changes(value: object) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item if isinstance(item, dict) else {"text": str(item)} for item in items]


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _root_cause(result: CallbackTaskResult) -> str:
    """The innermost message of the exception chain, which a module's own msg may leave out."""
    event = result.exception.event if result.exception else None
    text = ""
    while event is not None:
        text = str(event.msg)
        event = event.chain.event if event.chain and event.chain.follow else None
    return text


def _command(cmd: object) -> str:
    return shlex.join(map(str, cmd)) if isinstance(cmd, list | tuple) else str(cmd or "")


def _end(text: object) -> str:
    return str(text or "").strip()[-TEXT_LIMIT:]

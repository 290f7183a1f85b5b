"""Calling the hooks for one event: one after the other, each shown, logged and recorded."""

import json
import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from k8sbootstrap.config.models.base import HookPoint
from k8sbootstrap.config.models.cluster import Hook
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.errors import HookError
from k8sbootstrap.formats.text import printable
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.events import HookFinished, HookStarted, When
from k8sbootstrap.run.failure import describe_hook, hook_title
from k8sbootstrap.run.hook_event import About, PhaseOutcome
from k8sbootstrap.run.hook_process import Ended, run_command
from k8sbootstrap.run.listener import RunView
from k8sbootstrap.run.record import open_private


class HookCalls:
    """Calls the hooks of a cluster during one run.

    Args:
        run: The run: told what hooks do.
        plan: The cluster, with its hooks.
        cluster_file: Where the hooks come from; they run in its folder.
    """

    def __init__(self, run: RunView, plan: ClusterPlan, cluster_file: Path) -> None:
        self._run = run
        self._hooks = plan.config.hooks
        file = cluster_file.resolve()
        self._folder = file.parent
        self._about = About(plan.config.name, file, run.record.directory)

    def before(self, point: HookPoint, hosts: Sequence[str]) -> None:
        """Call the hooks before ``point``, up to the first that must not fail and does.

        Raises:
            HookError: That one failed.
        """
        event = json.dumps(self._about.event("before", point, hosts))
        for hook in self._hooks:
            if point in hook.before:
                self._call(hook, "before", point, event)

    def after(self, point: HookPoint, hosts: Sequence[str], result: PhaseOutcome) -> None:
        """Call the hooks after ``point``: all of them, because one may undo what another did before it.

        Raises:
            HookError: The first failure of one that must not fail.
        """
        event = json.dumps(self._about.event("after", point, hosts) | result.event(hosts))
        failures = []
        for hook in self._hooks:
            if point in hook.after:
                try:
                    self._call(hook, "after", point, event)
                except HookError as exc:
                    failures.append(exc)
        if failures:
            raise failures[0]

    def _call(self, hook: Hook, when: When, point: HookPoint, event: str) -> None:
        started = time.time()
        command = tuple(hook.command)
        self._run.note(HookStarted(time=started, command=command, when=when, phase=point))
        try:
            ended = self._execute(hook, when, point, event)
        except KeyboardInterrupt:
            finished = _finished(hook, when, point, started, Ended(None, "was interrupted"))
            self._run.note(finished)
            raise KeyboardInterrupt(hook_title(finished)) from None
        finished = _finished(hook, when, point, started, ended)
        self._run.note(finished)
        if finished.failure and not finished.ignored:
            raise HookError(
                describe_hook(finished),
                hint="Fix the hook, or set its onFailure to warn. Then run the same command again: it "
                f"continues from there. The output of hooks is in {self._run.record.hooks_log}.",
            )

    def _execute(self, hook: Hook, when: When, point: HookPoint, event: str) -> Ended:
        program, *arguments = hook.command
        if "/" in program:
            program = str(local_path(Path(program), self._folder))
        with os.fdopen(open_private(self._run.record.hooks_log), "a", encoding="utf-8") as log:

            def keep(line: str) -> None:
                print(printable(line), file=log, flush=True)
                self._run.reporter.hook_output(line)

            print(f"== {when} {point}: {shlex.join(hook.command)}", file=log, flush=True)
            ended = run_command(
                [program, *arguments],
                folder=self._folder,
                environment=os.environ | self._about.environment(when, point),
                stdin=event,
                timeout=hook.timeout,
                on_line=keep,
            )
            print(f"== {ended.failure or 'ended with code 0'}", file=log)
        return ended


def _finished(hook: Hook, when: When, point: HookPoint, started: float, ended: Ended) -> HookFinished:
    now = time.time()
    return HookFinished(
        time=now,
        command=tuple(hook.command),
        when=when,
        phase=point,
        rc=ended.rc,
        seconds=round(now - started, 1),
        failure=ended.failure,
        stderr=ended.stderr,
        ignored=bool(ended.failure) and hook.on_failure == "warn",
    )

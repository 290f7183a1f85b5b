"""The part of ``up`` and ``plan`` that belongs to upgrades: observe, allow or refuse, take a snapshot."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from k8sbootstrap.actions.snapshot import take_snapshot
from k8sbootstrap.checks.framework import CheckReport, Status, require, settle
from k8sbootstrap.checks.upgrade import UpgradeCase, is_worth_waiting, judge
from k8sbootstrap.errors import HostError
from k8sbootstrap.formats.text import megabytes
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.inventory.last_run import release_of
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.session import Run
from k8sbootstrap.survey.todo import Survey
from k8sbootstrap.survey.upgrade.find import find_upgrade, may_be_upgrade
from k8sbootstrap.survey.upgrade.observe import Running, look_at

_POLL = 2.0
"""Seconds between looks while something has not settled."""


class Upgrading:
    """The upgrade of one run. Hosts are asked once.

    Args:
        run: The run.
        plan: The cluster.
        pool: Connections to its hosts.
        ignore: Names of checks whose failures do not count.
        limit: Names of the only hosts to change; all, if empty.
    """

    def __init__(
        self,
        run: Run,
        plan: ClusterPlan,
        pool: Pool,
        ignore: Collection[str] = (),
        limit: Collection[str] = (),
    ) -> None:
        self._run = run
        self._plan = plan
        self._pool = pool
        self._ignore = ignore
        names = {host.name for host in plan.hosts}
        self._left_out = frozenset(names - set(limit)) if limit else frozenset()
        self._running: Running | None = None

    def refuse_early(self, inventory: Path) -> None:
        """Where the last inventory was another release's, let only an allowed step fetch files.

        Raises:
            PreflightError: It is not.
        """
        before = release_of(inventory)
        if before and before != self._plan.release.version:
            try:
                self._look()
            except HostError:  # nobody answers: what comes next says so in its own words
                self._running = None

    def found_in(self, todo: Survey) -> Survey:
        """``todo`` with the upgrade that is part of it, if one is.

        Raises:
            PreflightError: The step is not allowed.
        """
        if not may_be_upgrade(todo):
            return todo
        running = self._running or self._look(todo)
        upgrade = find_upgrade(self._plan, running, todo, self._ignore)
        if upgrade:
            with self._run.step("upgrade_found", "Upgrade") as step:
                for line in upgrade.lines():
                    step.note(line)
        return replace(todo, upgrade=upgrade)

    def snapshot(self, todo: Survey) -> None:
        """Take a snapshot of etcd, if another release is going to use its data."""
        if todo.upgrade is None or self._running is None or not todo.upgrade.changes_data:
            return
        with self._run.step("snapshot", "Snapshot of etcd") as step:
            taken = take_snapshot(self._plan, self._pool, self._running, todo.upgrade)
            step.note(f"{megabytes(taken.bytes)} on {taken.host}: {taken.path}")

    def _look(self, todo: Survey | None = None) -> Running:
        """See what runs. Where that is an upgrade, let pass only one that is allowed."""
        with self._run.step("upgrade", "Upgrade checks") as step:

            def look() -> tuple[Running, CheckReport]:
                running = look_at(self._plan, self._pool)
                return running, judge(UpgradeCase(self._plan, running, self._left_out), self._ignore)

            def waits(seen: tuple[Running, CheckReport]) -> bool:
                running, report = seen
                waiting = is_worth_waiting(report) and self._is_upgrade(running, todo)
                if waiting:
                    step.status("; ".join(f"{result.check}: {result.message}" for result in report.failures))
                return waiting

            running, report = settle(look, waits, _POLL)
            if self._is_upgrade(running, todo):
                for result in report.having(Status.IGNORED):
                    step.note(f"{result.check}: {result.status}: {result.message}")
                require(report)
        self._running = running
        return running

    def _is_upgrade(self, running: Running, todo: Survey | None) -> bool:
        """Whether it is an upgrade; until it is known what is to do, any other release on a host counts."""
        if todo is not None:
            return find_upgrade(self._plan, running, todo, self._ignore) is not None
        ours = {host.name for host in self._plan.hosts}
        found = {
            version
            for hosts in running.versions().values()
            for host, version in hosts.items()
            if host in ours
        }
        return bool(found - {self._plan.release.version})

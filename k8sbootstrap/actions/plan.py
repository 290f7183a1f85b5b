"""``plan``: what ``up`` would do now. Changes nothing on any host, and nothing of the cluster's state."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.install import is_to_do
from k8sbootstrap.actions.observe import (
    check_host_keys,
    compare_hosts,
    lacks_authorities,
    look,
    take_authorities,
)
from k8sbootstrap.actions.prepare import PREPARE
from k8sbootstrap.actions.step import Step, StepReporter, take
from k8sbootstrap.actions.upgrade import (
    add_upgrade,
    check_upgrade,
    is_other_release,
    is_upgrade,
    must_be_checked,
)
from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.changes import Change
from k8sbootstrap.plan.models import ClusterPlan, UnplannedNode
from k8sbootstrap.run.events import TaskResult
from k8sbootstrap.run.playbook import write_playbook
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.session import Run, running
from k8sbootstrap.state import State
from k8sbootstrap.survey.etcd_members import EtcdGrowth
from k8sbootstrap.survey.todo import Survey
from k8sbootstrap.survey.upgrade.models import PendingUpgrade

VERSION = 1
"""Of the JSON form; goes up when a program that reads it would misread the new one."""


@dataclass(frozen=True)
class PlannedChange:
    """One change that ``up`` would make."""

    phase: str
    role: str
    change: Change
    diff: str = ""
    """Unified diff of a file; empty where there is none or it would show a secret."""

    def to_json(self) -> dict[str, Any]:
        """Its part of the JSON output."""
        body = asdict(self.change)
        del body["text"]
        return {"phase": self.phase, "role": self.role, **body, "diff": self.diff}


@dataclass(frozen=True)
class HostPreview:
    """All that ``up`` would do on one host."""

    name: str
    changes: tuple[PlannedChange, ...] = ()
    error: str = ""
    """Why it could not be planned; empty when it could."""


@dataclass(frozen=True)
class Preview:
    """All that ``up`` would do."""

    cluster: str
    kubernetes: str
    """Version that cluster.yaml names."""
    hosts: tuple[HostPreview, ...] = field(default_factory=tuple)
    unplanned: tuple[UnplannedNode, ...] = ()
    """Nodes that cluster.yaml does not name."""
    upgrade: PendingUpgrade | None = None
    """How it gets there from another release; None where it runs that version."""
    etcd: EtcdGrowth | None = None
    """Members that join etcd; None where none does."""

    @property
    def changes(self) -> int:
        """How many changes there are, over all hosts."""
        return sum(len(host.changes) for host in self.hosts)

    def to_json(self) -> dict[str, Any]:
        """The documented form: see docs/plan.md."""
        return {
            "version": VERSION,
            "cluster": self.cluster,
            "kubernetes": self.kubernetes,
            "changes": self.changes,
            "unplannedNodes": [node.name for node in self.unplanned],
            "upgrade": self.upgrade.to_json() if self.upgrade else None,
            "etcd": self.etcd.to_json() if self.etcd else None,
            "hosts": [
                {
                    "name": host.name,
                    "error": host.error,
                    "changes": [change.to_json() for change in host.changes],
                }
                for host in self.hosts
            ],
        }


def rehearse(context: RunContext, _step: StepReporter) -> None:
    """Run the playbook of what is to do in check mode: nothing is changed.

    Raises:
        HostError: A host that answers could not be planned.
    """
    playbook = write_playbook(context.todo, context.run.record.directory / "playbooks")
    context.run.playbook(playbook, context.plan.hosts, context.inventory_folder, check=True)


PLAN = (
    Step("host_keys", "Host keys", check_host_keys),
    Step("look", "Look at hosts", look),
    Step("authorities", "Certificate authorities", take_authorities, needed=lacks_authorities),
    Step("upgrade", "Upgrade checks", check_upgrade, needed=is_other_release, may_fail=True),
    *PREPARE,
    Step("compare", "Compare with cluster.yaml", compare_hosts),
    Step("upgrade", "Upgrade checks", check_upgrade, needed=must_be_checked),
    Step("upgrade_found", "Upgrade", add_upgrade, needed=is_upgrade),
    Step("rehearse", "", rehearse, needed=is_to_do),
)
"""The steps of ``up`` that change nothing, and a rehearsal of the others."""


def run_plan(plan: ClusterPlan, cluster_file: Path, options: RunOptions, reporter: Reporter) -> Preview:
    """See what ``up`` would do.

    Args:
        plan: The desired state.
        cluster_file: cluster.yaml; the state directory is beside it.
        options: What the user chose.
        reporter: Shows what happens.

    Returns:
        Every change by host; hosts that did not answer carry an error.

    Raises:
        LockedError: Another command is changing this cluster.
        PreflightError: It would change what can't be changed, or it is an upgrade that is not allowed.
        HostError: A host that answers could not be planned.
        InterruptedRunError: The user stopped it.
        K8sBootstrapError: Anything else that a user can fix.
    """
    state = State.beside(cluster_file, plan.config.name)
    with running(state, "k8sbootstrap plan", reporter) as run, _copy_of(state) as scratch, Pool() as pool:
        context = RunContext.begin(plan, cluster_file, run, pool, options, state=scratch)
        take(PLAN, context, run.step)
        preview = _preview(context.plan, run, context.todo)
        run.record.keep("plan.json", json.dumps(preview.to_json(), indent=2))
    return preview


def require_all(preview: Preview) -> None:
    """Raise where a host could not be planned.

    Raises:
        HostError: Names them.
    """
    lost = [host for host in preview.hosts if host.error]
    if lost:
        raise HostError(
            "\n".join(
                [f"{len(lost)} of {len(preview.hosts)} hosts could not be reached and have no plan"]
                + [host.error for host in lost]
            ),
            hint="Bring them back or remove them from cluster.yaml, then run the same command again.",
        )


@contextmanager
def _copy_of(state: State) -> Iterator[State]:
    """A copy of the state that may be written to; it is deleted at the end of the block."""
    for stale in state.directory.glob("plan-*"):  # of a run that was killed; the lock says it is over
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(prefix="plan-", dir=state.directory) as name:
        yield state.copied_to(
            Path(name), "pki", "charts", "artifact_pins", "registry_logins", "proxy", "snapshot_store"
        )


def _preview(plan: ClusterPlan, run: Run, todo: Survey) -> Preview:
    by_host: dict[str, dict[tuple[str, str, str], PlannedChange]] = {host.name: {} for host in plan.hosts}
    for result in run.board.changed:
        for planned in _changes(result):  # roles share directories, and check mode makes none of them
            change = planned.change
            by_host[result.host].setdefault((change.kind, change.action, change.name), planned)
    return Preview(
        plan.config.name,
        plan.config.kubernetes.version,
        tuple(
            HostPreview(host, tuple(changes.values()), str(todo.unreachable.get(host, "")))
            for host, changes in by_host.items()
        ),
        todo.unplanned,
        todo.upgrade,
        todo.etcd_growth,
    )


def _changes(result: TaskResult) -> Iterator[PlannedChange]:
    diffs = {entry.get("name", ""): entry.get("prepared", "") for entry in result.diff or ()}
    for change in result.changes:
        diff = diffs.get(change.name, "") if change.kind == "file" else ""
        yield PlannedChange(result.phase, result.role, change, diff if diff.startswith("---") else "")

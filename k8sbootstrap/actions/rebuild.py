"""Steps of ``up`` that bring a cluster back on empty hosts, from a backup (see ``backup/restoration.py``)."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from k8sbootstrap import private_files
from k8sbootstrap.actions.ask_hosts import ask_first, masters
from k8sbootstrap.actions.backup import restoration, sealed
from k8sbootstrap.actions.backup.restoration import Restoration, Stage
from k8sbootstrap.actions.context import RunContext
from k8sbootstrap.actions.etcd_restore import place_data, start_etcd
from k8sbootstrap.actions.install import install_part
from k8sbootstrap.actions.restore_hosts import have_done
from k8sbootstrap.actions.restore_snapshot import Restore, RestoreContext, send
from k8sbootstrap.actions.step import Step, StepReporter
from k8sbootstrap.checks.restoring import Rebuilt
from k8sbootstrap.config import past_hosts
from k8sbootstrap.errors import PreflightError, StateError
from k8sbootstrap.survey.authorities import take
from k8sbootstrap.survey.nodes import with_unplanned
from k8sbootstrap.survey.todo import HostFindings, compare, look_at_hosts

_NOTHING = "Nothing was changed."
_RESET = (
    "If what is there may be lost: k8sbootstrap reset, then the same command again. To set a running cluster "
    "back to a snapshot: k8sbootstrap etcd restore FILE."
)


@dataclass(kw_only=True)
class UpContext(RestoreContext):
    """What the steps of ``up`` share."""

    restoration: Restoration | None = None
    """The restore that this run begins or goes on with."""

    def recall(self) -> None:
        """Find out whether there is one. One that was asked for before, and never begun, is forgotten."""
        found = restoration.read(self.state)
        if found and found.stage == "copied" and not self.options.restore:
            restoration.forget(self.state)
        elif found and found.stage != "done":
            self.go_on(found)

    def go_on(self, found: Restoration) -> None:
        """Go on with a restore from here."""
        members, state = self.plan.etcd_members, self.state
        self.restoration, self.restoring = found, found.id
        self.file = restoration.snapshot_of(state)
        names = tuple(host.name for host in members)
        self.restore = Restore(found.id, found.snapshot, names, found.bump)
        resumes = found.id if found.has_begun else ""
        self.hosts = Rebuilt(members, self.plan.masters, (), 0, resumes)

    def reach(self, stage: Stage) -> None:
        """Write down how far it is."""
        found = replace(_of(self), stage=stage)
        restoration.write(self.state, found)
        self.restoration = found

    def leave(self) -> None:
        """Write down that it has ended: the rest is as in every other run."""
        restoration.end(self.state, _of(self))
        self.restoration, self.restoring = None, ""


def is_at(*stages: Stage) -> Callable[[RunContext], bool]:
    """Whether a restore is a part of the run, and at one of these stages."""

    def needed(context: RunContext) -> bool:
        found = context.restoration if isinstance(context, UpContext) else None
        return found is not None and found.stage in stages

    return needed


def check(context: UpContext, step: StepReporter) -> None:
    """See that the backup can be restored on these hosts, and take over its certificate authorities and pins.

    Raises:
        PreflightError: It can't. Nothing was changed.
        StateError: The copy of the backup is gone or damaged.
        HostError: A host could not be asked.
    """
    found, seen = _of(context), look_at_hosts(context.plan, context.pool)
    name = context.plan.config.name
    if found.again and found.stage == "copied" and name in {each.cluster for each in seen.findings.values()}:
        step.note("the cluster was brought back from this backup before: nothing is restored again")
        context.leave()
        return
    problems = list(_problems(context, seen))
    if problems:
        raise PreflightError(
            "\n".join([*(text for text, _ in problems), _NOTHING]),
            hint="\n".join(dict.fromkeys(hint for _, hint in problems)),
        )
    _take_over(context)
    for line in _lines(context):
        step.note(line)


def begin(context: UpContext, _step: StepReporter) -> None:
    """Write down, here, that the restore begins: from now on every ``up`` goes on with it.

    Raises:
        StateError: It can't be written.
    """
    found = restoration.begun_anew(_of(context), context.plan)
    restoration.write(context.state, found)
    context.go_on(found)


def install_etcd(context: UpContext, _step: StepReporter) -> None:
    """Install etcd on its hosts, without starting it, and write down there that a restore has begun.

    Raises:
        HostError: A host failed.
        HookError: A hook failed that must not.
    """
    part = replace(context.todo.until("etcd"), etcd_restoring=context.restoring)
    install_part(context, part, "playbooks-etcd")


def finish(context: UpContext, _step: StepReporter) -> None:
    """Write down that etcd has its data: nothing is restored over it again.

    Raises:
        HostError: A host could not be told.
    """
    have_done(context.pool, context.hosts.members, "finish")
    context.reach("nodes")
    _look_again(context)


def install_control_plane(context: UpContext, _step: StepReporter) -> None:
    """Install what is needed to delete nodes: nothing may wait for their pods.

    Raises:
        HostError: A host failed.
        HookError: A hook failed that must not.
    """
    if not masters(context):
        install_part(context, context.todo.until("control_plane"), "playbooks-control-plane")
        _look_again(context)


def delete_nodes(context: UpContext, step: StepReporter) -> None:
    """Delete the nodes of hosts that are no more, with their pods, and forget these hosts.

    Raises:
        HostError: They can't be deleted.
    """
    gone = _of(context).gone
    for name in gone:
        ask_first(context, name, masters(context), {"do": "delete", "name": name})
        shutil.rmtree(context.state.pki / "hosts" / name, ignore_errors=True)
        step.note(f"{name} is deleted")
    past_hosts.forget(context.state, gone)
    _look_again(context)


def end(context: UpContext, _step: StepReporter) -> None:
    """Write down that it has ended: the rest is as in every other run."""
    context.leave()


def _has_gone(context: RunContext) -> bool:
    """Whether nodes are to be deleted now."""
    return isinstance(context, UpContext) and is_at("nodes")(context) and bool(_of(context).gone)


RESTORING: tuple[Step[UpContext], ...] = (
    Step("begin", "", begin, needed=is_at("copied")),
    Step("install_etcd", "", install_etcd, needed=is_at("etcd")),
    Step("send", "Snapshot to hosts", send, needed=is_at("etcd")),
    Step("place", "Data of members", place_data, needed=is_at("etcd")),
    Step("start_etcd", "Start etcd", start_etcd, needed=is_at("etcd")),
    Step("finish", "", finish, needed=is_at("etcd")),
    Step("install_control_plane", "", install_control_plane, needed=_has_gone),
    Step("delete_nodes", "Delete nodes of lost hosts", delete_nodes, needed=_has_gone),
    Step("end", "", end, needed=is_at("nodes")),
)
"""What is done before the rest is installed. The steps in the middle are those of ``etcd restore``."""


def _of(context: UpContext) -> Restoration:
    if context.restoration is None:
        raise RuntimeError("no restore is a part of this run")
    return context.restoration


def _look_again(context: UpContext) -> None:
    """See what is to do on hosts now."""
    context.found = look_at_hosts(context.plan, context.pool)
    context.plan = with_unplanned(context.plan, context.found.findings)
    context.todo = compare(context.plan, context.inventory.digests, context.found)


def _problems(context: UpContext, seen: HostFindings) -> Iterator[tuple[str, str]]:
    """Why the backup can't be restored, and what to do instead."""
    plan, found = context.plan, _of(context)
    if context.options.limit:
        yield "a restore has to do with all hosts", "Leave out --limit."
    for host in plan.hosts:
        if host.name in seen.unreachable and (host.is_etcd or host.is_master or not found.has_begun):
            yield (
                f"{host.name} can't be reached: {seen.unreachable[host.name]}",
                f"Start {host.name}, or take it out of cluster.yaml.",
            )
    members = {host.name: str(host.private_address) for host in plan.etcd_members}
    if found.has_begun:
        if members != found.members:
            begun = f"a restore has begun with the members of etcd {_text(found.members)}"
            yield (
                f"{begun}, and cluster.yaml says {_text(members)}",
                "Set them back. To give the restore up: k8sbootstrap reset, then up --restore.",
            )
        return
    for name, finding in seen.findings.items():
        if finding.cluster or finding.etcd.data:
            whose = f"the cluster {finding.cluster}" if finding.cluster else "data of an etcd"
            yield (
                f"{name} is not empty: it has {whose}. A backup is restored on empty hosts only",
                _RESET,
            )


def _take_over(context: UpContext) -> None:
    """Have the certificate authorities, keys and pins of the backup in the state directory.

    Raises:
        StateError: The copy of the backup is gone or damaged.
    """
    state, found = context.state, _of(context)
    try:
        with restoration.snapshot_of(state).open("rb") as file:
            whole = hashlib.file_digest(file, "sha256").hexdigest() == found.snapshot
        held = restoration.held(state)
        pins = state.restore / sealed.PINS
        if pins.exists() and not state.artifact_pins.exists():
            private_files.write(
                state.artifact_pins, pins.read_bytes(), private_files.PRIVATE, root=state.directory
            )
    except OSError as exc:
        raise _lost(found, f"{exc.filename} can't be read: {exc.strerror}") from exc
    if not whole:
        raise _lost(found, f"{restoration.snapshot_of(state)} is damaged")
    take(held, state)


def _lost(found: Restoration, why: str) -> StateError:
    return StateError(
        f"the copy of the backup can't be used: {why}",
        hint=f"Run k8sbootstrap up --restore {found.source} again: it continues from there.",
    )


def _lines(context: UpContext) -> Iterator[str]:
    """What is going to be done."""
    found = _of(context)
    name = context.plan.config.name
    if found.has_begun:
        yield f"the restore of {name} from {found.source} goes on"
    yield f"{name} comes back as of {found.created}, revision {found.revision}; what came later is lost"
    members = {host.name: str(host.private_address) for host in context.plan.etcd_members}
    yield f"etcd gets the data of the backup: {_text(members)}"
    if found.gone:
        yield f"nodes that cluster.yaml no longer has are deleted, with their pods: {', '.join(found.gone)}"


def _text(members: dict[str, str]) -> str:
    return ", ".join(f"{name} ({address})" for name, address in members.items())

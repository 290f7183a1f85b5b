"""Rules about etcd: members, their data, alarms, the quorum."""

import re

from k8sbootstrap.checks.doctor.case import Case, HostView
from k8sbootstrap.checks.doctor.rule import Findings, found, on
from k8sbootstrap.checks.doctor.services import stopped, trouble_of
from k8sbootstrap.checks.etcd_state import FULL, MISSED
from k8sbootstrap.checks.framework import CLUSTER
from k8sbootstrap.formats.text import duration, megabytes, moment
from k8sbootstrap.survey.cluster.parse import etcd_unhealthy, snapshots
from k8sbootstrap.survey.cluster.requests import ENDPOINT_HEALTH, SNAPSHOT_FOLDER, SNAPSHOTS
from k8sbootstrap.survey.doctor.parse import read_upload
from k8sbootstrap.survey.doctor.requests import RESTORING, UPLOAD_RECORD, UPLOADED

_NO_DATA = "78"
"""How etcd's unit ends where its data is gone: see roles/etcd/templates/start-etcd.sh.j2."""
_JOURNAL = "journalctl -u etcd-snapshot"
_MEMBER_ID = re.compile(r"memberID:(\d+)")


def restore_unfinished(case: Case) -> Findings:
    """A restore of etcd was begun and has not ended: etcd and API servers may be stopped until it has.

    Fix: Run the same `k8sbootstrap etcd restore`, or `etcd recover`, again: it continues.
    """
    begun = {view.name: name for view in case.having("etcd") if (name := view.printed(RESTORING).strip())}
    if begun:
        yield found(
            CLUSTER,
            f"a restore of etcd was begun on {' and '.join(begun)}, and has not ended",
            "If it does not run any more, run the same k8sbootstrap etcd restore, or etcd recover, again: it "
            "continues.",
            evidence=[f"record of {host}: {name}" for host, name in begun.items()],
        )


def data_lost(case: Case) -> Findings:
    """A member's data is gone from /var/lib/etcd, so it does not start.

    Fix: If a disk is not mounted at `/var/lib/etcd`, mount it and start etcd. If the data is lost, run
    `k8sbootstrap remove NAME`, then `k8sbootstrap up`. Where that is not possible, doctor names [the command
    that rebuilds etcd](etcd.md).
    """
    for view in case.having("etcd"):
        if not _has_lost_its_data(view):
            continue
        yield found(
            view.name,
            "etcd does not start: its data is gone from /var/lib/etcd",
            "If a disk is not mounted there, mount it and start etcd. If the data is lost, run: "
            f"{_instead_of(view.name, case)}",
            evidence=[f"systemctl: etcd.service ended with {_NO_DATA}", *view.last_trouble("etcd")],
            since=view.left("etcd"),
        )


def _has_lost_its_data(view: HostView) -> bool:
    unit = view.unit("etcd")
    return not unit.active and unit.exit_status == _NO_DATA


def _instead_of(lost: str, case: Case) -> str:
    """The command that brings back a member whose data is lost."""
    if len(case.plan.etcd_members) > 1 and _quorum(case):
        return f"k8sbootstrap remove {lost}, then k8sbootstrap up"
    command = _rebuild(case)
    return f"k8sbootstrap etcd {command}" if command else "k8sbootstrap plan, which says what is left"


def _rebuild(case: Case) -> str:
    """How etcd is rebuilt if its quorum is lost for ever; empty where a member that is down may have data."""
    members = [case.hosts.get(host.name) for host in case.plan.etcd_members]
    if all(view is not None and _has_lost_its_data(view) for view in members):
        return "restore --newest"
    living = (view for view in members if view is not None and view.etcd is not None)
    survivor = next(living, None)
    return f"recover --survivor {survivor.name}" if survivor else ""


def no_space(case: Case) -> Findings:
    """Etcd takes no writes: its database has reached its quota.

    Fix: Run `k8sbootstrap etcd defrag`.
    """
    for view, alarm in _alarmed(case, "NOSPACE"):
        size = megabytes(view.etcd.db_size) if view.etcd else "unknown"
        yield found(
            view.name,
            "etcd takes no writes: its database has reached the quota (alarm NOSPACE)",
            "Run: k8sbootstrap etcd defrag",
            evidence=[f"etcdctl endpoint status: {alarm}", f"database of {view.name}: {size}"],
        )


def corrupt(case: Case) -> Findings:
    """A member's data differs from that of the others.

    Fix: Run `k8sbootstrap remove NAME`, then `k8sbootstrap up`: the member gets the others' data.
    """
    for view, alarm in _alarmed(case, "CORRUPT"):
        yield found(
            view.name,
            "the data of this etcd member is damaged (alarm CORRUPT)",
            f"Run: k8sbootstrap remove {view.name}, then k8sbootstrap up: it gets the others' data.",
            evidence=[f"etcdctl endpoint status: {alarm}"],
        )


def nearly_full(case: Case) -> Findings:
    """The database of a member has more than 80 % of its quota; a full one takes no writes.

    Fix: Run `k8sbootstrap etcd defrag`. If nearly all of it is in use, delete objects, or raise
    `quota-backend-bytes` under `kubernetes.extraArgs.etcd`.
    """
    for view in case.having("etcd"):
        seen = view.etcd
        if seen is None or seen.errors or not seen.quota or seen.db_size <= FULL * seen.quota:
            continue
        fix = "Run: k8sbootstrap etcd defrag"
        if seen.db_in_use >= FULL * seen.quota:
            fix = "Delete objects that nobody needs, or raise etcd's quota-backend-bytes in cluster.yaml."
        yield found(
            view.name,
            f"etcd's database has {megabytes(seen.db_size)} of {megabytes(seen.quota)}",
            fix,
            evidence=[f"etcdctl endpoint status: {seen.db_in_use} of {seen.db_size} bytes in use"],
            harmless=True,
        )


def snapshots_off(case: Case) -> Findings:
    """The timer does not run by which a host of etcd takes snapshots.

    Fix: Run `systemctl start etcd-snapshot.timer` there.
    """
    for view in case.having("etcd"):
        timer = view.unit("etcd-snapshot.timer")
        if not timer.known or timer.active:
            continue
        yield found(
            view.name,
            f"takes no snapshots of etcd: etcd-snapshot.timer is {timer.state}",
            on(view.name, "systemctl start etcd-snapshot.timer") if timer.loaded else "Run: k8sbootstrap up",
            evidence=[f"systemctl: etcd-snapshot.timer is {timer.state}"],
            since=view.left("etcd-snapshot.timer"),
            harmless=True,
        )


def snapshots_late(case: Case) -> Findings:
    """The newest snapshot of etcd is older than two of the intervals at which one is taken.

    Fix: Run `k8sbootstrap etcd snapshot`. `journalctl -u etcd-snapshot` on the host says why none was taken.
    """
    wanted = case.plan.config.etcd.snapshots
    taken = [
        (each.taken.timestamp(), view.name, each.name)
        for view in case.having("etcd")
        if SNAPSHOTS in view.answer.run
        for each in snapshots(view.answer.run[SNAPSHOTS])
    ]
    at, host, name = max(taken, default=(0.0, "", ""))
    if not taken or not wanted.seconds or case.look.at - at <= MISSED * wanted.seconds:
        return
    failed = [view for view in case.having("etcd") if view.unit("etcd-snapshot").state.startswith("failed")]
    age = duration(case.look.at - at, 0)
    yield found(
        CLUSTER,
        f"the newest snapshot of etcd is {age} old, though one is to be taken every {wanted.every}",
        f"Run: k8sbootstrap etcd snapshot. Why none was taken: {on(host, _JOURNAL)}",
        evidence=[
            f"{host}: {SNAPSHOT_FOLDER}/{name}",
            *(f"systemctl: etcd-snapshot.service of {view.name} has failed" for view in failed),
        ],
        since=at + wanted.seconds,
        harmless=True,
    )


def upload_failed(case: Case) -> Findings:
    """The last upload of a snapshot of etcd to the bucket failed, or is older than two intervals.

    Fix: `journalctl -u etcd-snapshot` there says what the store answered. Correct `etcd.snapshots.s3` and run
    `k8sbootstrap up`, or fix the store or the way to it. Then run `systemctl start etcd-snapshot` there.
    """
    wanted = case.plan.config.etcd.snapshots
    if wanted.s3 is None or not wanted.seconds:
        return
    views = ((view.name, read_upload(view.printed(UPLOADED))) for view in case.having("etcd"))
    records = {name: record for name, record in views if record is not None}
    bucket = f"s3://{wanted.s3.bucket}"
    for name, record in records.items():
        if record.problem:
            yield found(
                name,
                f"the last upload of a snapshot to {bucket} failed: {record.problem}",
                "The next turn of the timer tries it again. To try it now: "
                f"{on(name, 'systemctl start etcd-snapshot')}",
                evidence=[f"{UPLOAD_RECORD}: tried at {moment(record.tried)}"],
                since=record.tried,
                harmless=True,
            )
    newest = max((record.uploaded for record in records.values()), default=0.0)
    old = case.look.at - newest
    if newest and old > MISSED * wanted.seconds and not any(each.problem for each in records.values()):
        yield found(
            CLUSTER,
            f"the last upload of a snapshot to {bucket} was {duration(old, 0)} ago, though one is to be "
            f"taken every {wanted.every}",
            f"Run: k8sbootstrap etcd snapshot. Why none came: {on(next(iter(records)), _JOURNAL)}",
            evidence=[f"{name}: {record.object}" for name, record in records.items() if record.object],
            since=newest + wanted.seconds,
            harmless=True,
        )


def _alarmed(case: Case, kind: str) -> list[tuple[HostView, str]]:
    """Members with an alarm, each with its words. All members tell of all alarms."""
    telling = [view for view in case.having("etcd") if view.etcd is not None]
    told = {
        error: view for view in telling for error in (view.etcd.errors if view.etcd else ()) if kind in error
    }
    found = []
    for error, teller in told.items():
        number = _MEMBER_ID.search(error)
        named = (view for view in telling if view.etcd and number and str(view.etcd.member) == number[1])
        found.append((next(named, teller), error))
    return found


def member_down(case: Case) -> Findings:
    """A member of etcd does not run, or can't take part.

    Fix: Run `systemctl start etcd` there. If it ends again, `journalctl -u etcd -n 50` says why.
    """
    for host in case.plan.etcd_members:
        view = case.hosts.get(host.name)
        if view is None:
            yield found(host.name, "its etcd member can't be asked", f"Start {host.name}.")
            continue
        trouble = trouble_of(view, "etcd") if not view.unit("etcd").active else ""
        if not trouble and view.etcd is None:
            trouble = f"etcd does not answer: {_said(view)}"
        if not trouble and _quorum(case) and not _alarms(case):
            cut_off = _said(view)
            trouble = f"etcd takes no part in the cluster: {cut_off}" if cut_off else ""
        if trouble:
            yield stopped(view, "etcd", trouble)


def no_quorum(case: Case) -> Findings:
    """Too few members of etcd work together: nothing can be written or read.

    Fix: Bring members back: doctor names what keeps them down. Only if they are lost for ever, [rebuild
    etcd](etcd.md) with the command that doctor names.
    """
    members = case.plan.etcd_members
    known = [view for view in case.having("etcd") if view.etcd is not None]
    if _quorum(case) or not case.on_each(lambda host: host.is_etcd):
        return
    command = _rebuild(case)
    lost = f" If they are lost for ever, run: k8sbootstrap etcd {command}" if command else ""
    yield found(
        CLUSTER,
        f"etcd has no quorum: {len(known)} of {len(members)} members answer, and "
        f"{len(members) // 2 + 1} must work together",
        "Bring members back: what keeps them down is above." + lost,
        evidence=[f"{view.name}: {_said(view) or 'no leader'}" for view in known],
    )


def _quorum(case: Case) -> bool:
    """Whether a member follows a leader."""
    return any(view.etcd is not None and view.etcd.leader for view in case.having("etcd"))


def _alarms(case: Case) -> bool:
    return any(view.etcd is not None and view.etcd.errors for view in case.having("etcd"))


def _said(view: HostView) -> str:
    """Why a member does not serve reads that need a quorum; empty where it does."""
    ran = view.answer.run.get(ENDPOINT_HEALTH)
    return etcd_unhealthy(ran) if ran is not None else "it was not asked"

"""Defragments etcd's database, one member after another, also one that is full."""

from collections.abc import Callable
from dataclasses import dataclass

from k8sbootstrap.checks.etcd_state import is_full, quorum_stays, require_defragmentable, space_aside
from k8sbootstrap.checks.framework import settle
from k8sbootstrap.errors import HostError
from k8sbootstrap.formats.text import megabytes
from k8sbootstrap.hosts.answers import Answer, Request, RunAnswer, RunCommand
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.cluster.requests import etcdctl
from k8sbootstrap.survey.status.etcd import EtcdState, look, state
from k8sbootstrap.survey.status.models import EtcdMemberStatus

_SECONDS = 900
"""For one member: etcd writes its database anew, 8 GB at most."""
_POLL = 1.0
_DEFRAG, _MOVE, _COMPACT, _ALARM = "defrag", "move-leader", "compact", "alarm"
_WITHOUT_QUORUM = (
    "etcd is full (alarm NOSPACE) and takes no writes anyway. So its members are defragmented although the "
    "others have no quorum meanwhile: the API does not answer for about a second for each 100 MB."
)
_COMPACTED = "has been compacted"
"""What etcd says where the API server did it at the same moment."""


@dataclass(frozen=True)
class Defragmented:
    """A member whose database was written anew."""

    host: str
    before: int
    """Bytes on disk."""
    after: int

    @property
    def freed(self) -> int:
        """Bytes."""
        return max(0, self.before - self.after)


def order(found: EtcdState) -> list[EtcdMemberStatus]:
    """The healthy members, the leader last."""
    return sorted((each for each in found.members if each.healthy), key=lambda each: each.leader)


def defragment(
    plan: ClusterPlan, pool: Pool, note: Callable[[str], None], done: Callable[[Defragmented], None]
) -> list[Defragmented]:
    """Defragment all members, one after another, while the others have a quorum; the leader is the last one.

    A member answers nothing meanwhile. So a leader first hands over to a member that is done. If a database
    has reached its quota, older revisions are removed before, and the alarm is switched off at the end. Then
    the others need no quorum.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        note: Told what the user should know before it begins.
        done: Told what came of it.

    Raises:
        PreflightError: etcd would lose its quorum; nothing was changed.
        HostError: A member could not be defragmented, or etcd is not healthy afterwards, or still full.
    """
    found = _see(plan, pool)
    require_defragmentable(found)
    if is_full(found):
        if not quorum_stays(found) and found.voters.number > 1:
            note(_WITHOUT_QUORUM)
        _compact(plan, pool, found)
    results: list[Defragmented] = []
    for member in order(found):
        now = _see(plan, pool) if results else found
        require_defragmentable(now)
        before = next(each for each in now.members if each.host == member.host)
        if before.leader and results:
            _hand_over(plan, pool, now, results[0].host)
        ran = _run(plan, pool, member.host, {_DEFRAG: etcdctl("defrag", seconds=_SECONDS)}).run[_DEFRAG]
        if ran.rc:
            raise HostError(f"{member.host}: etcdctl defrag failed: {ran.said}", hint=_hint(ran))
        after = _healthy_again(plan, pool, member.host, now)
        results.append(Defragmented(member.host, before.db_size, after.db_size))
        done(results[-1])
    if is_full(found):
        _disarm(plan, pool)
    return results


def _see(plan: ClusterPlan, pool: Pool) -> EtcdState:
    return space_aside(state(look(plan, pool)))


def _compact(plan: ClusterPlan, pool: Pool, found: EtcdState) -> None:
    """Remove all revisions but the newest: a defragmentation frees only what nobody can read any more.

    Raises:
        HostError: etcd refuses.
    """
    host, revision = order(found)[0].host, max(each.revision for each in found.members)
    command = etcdctl("compact", "--physical", str(revision), seconds=_SECONDS)
    ran = _run(plan, pool, host, {_COMPACT: command}).run[_COMPACT]
    if ran.rc and _COMPACTED not in ran.said:
        raise HostError(f"{host}: etcdctl compact failed: {ran.said}", hint=_hint(ran))


def _disarm(plan: ClusterPlan, pool: Pool) -> None:
    """Let etcd take writes again.

    Raises:
        HostError: It has no room for them, or refuses.
    """
    found = _see(plan, pool)
    for each in found.members:
        if each.quota and each.db_size >= each.quota:
            raise HostError(
                f"{each.host}: the database still has {megabytes(each.db_size)} of {megabytes(each.quota)}: "
                "etcd takes no writes",
                hint="Delete objects that nobody needs, such as old events: etcd still allows that. Or raise "
                "its quota-backend-bytes in cluster.yaml, and run k8sbootstrap up. Then run the same command "
                "again.",
            )
    host = order(found)[0].host
    ran = _run(plan, pool, host, {_ALARM: etcdctl("alarm", "disarm")}).run[_ALARM]
    if ran.rc:
        raise HostError(f"{host}: etcdctl alarm disarm failed: {ran.said}", hint=_hint(ran))


def _hint(ran: RunAnswer) -> str:
    full = "no space" in ran.said
    return (
        "Free disk space on that host: the new database is written beside the old one."
        if full
        else "k8sbootstrap etcd status shows how etcd is. Then run the same command again."
    )


def _healthy_again(plan: ClusterPlan, pool: Pool, host: str, before: EtcdState) -> EtcdMemberStatus:
    """Wait until as many members are healthy as before.

    Raises:
        HostError: They are not.
    """

    def waits(now: EtcdState) -> bool:
        return now.voters.healthy < before.voters.healthy or now.leader is None

    now = settle(lambda: _see(plan, pool), waits, _POLL)
    if waits(now):
        raise HostError(
            f"{host} was defragmented, but etcd is not as healthy as before: "
            f"{now.voters.healthy} of {now.voters.number} members are",
            hint="k8sbootstrap etcd status shows which. The other members were not touched.",
        )
    return next(each for each in now.members if each.host == host)


def _hand_over(plan: ClusterPlan, pool: Pool, now: EtcdState, host: str) -> None:
    """Have the leader give its place to another member; if that fails, the others elect one."""
    identity = next((each.id for each in now.members if each.host == host), "")
    if identity and now.leader:
        _run(plan, pool, now.leader.host, {_MOVE: etcdctl("move-leader", identity)})


def _run(plan: ClusterPlan, pool: Pool, host: str, commands: dict[str, RunCommand]) -> Answer:
    hosts = Hosts(pool, (each.ssh for each in plan.etcd_members))
    return hosts.ask(host, Request(run=commands), timeout=_SECONDS + 60)

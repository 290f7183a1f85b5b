"""Can etcd be rebuilt from a snapshot, or from a survivor's data, and on which hosts?"""

from collections.abc import Iterator
from dataclasses import dataclass

from k8sbootstrap.errors import PreflightError
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.etcd_voters import Voters
from k8sbootstrap.survey.todo import HostFindings

_NOTHING = "Nothing was changed."


@dataclass(frozen=True)
class Rebuilt:
    """The hosts that a rebuilt etcd has to do with."""

    members: tuple[HostPlan, ...]
    """Those of its members."""
    masters: tuple[HostPlan, ...]
    """Those whose API servers stop meanwhile."""
    left_out: tuple[HostPlan, ...]
    """Masters and hosts of etcd that are dead."""
    revision: int
    """Of the data that there is now; 0 where no member answers."""
    resumes: str
    """Id of the restore that was begun and has not ended; empty where there is none."""


def rebuilt(
    plan: ClusterPlan, found: HostFindings, voters: Voters, *, survivor: str = "", dead: bool = False
) -> Rebuilt:
    """Decide which hosts take part.

    Args:
        plan: The cluster.
        found: What all hosts say.
        voters: How many members are healthy.
        survivor: Host whose data is all that there is; empty where there is a snapshot.
        dead: The user says that hosts which don't answer never will.

    Raises:
        PreflightError: etcd can't be rebuilt like this.
    """
    problems = list(_problems(plan, found, voters, survivor, dead=dead or bool(survivor)))
    if problems:
        raise PreflightError(
            "\n".join([*(text for text, _ in problems), _NOTHING]),
            hint="\n".join(dict.fromkeys(hint for _, hint in problems)),
        )
    silent = _silent(plan, found)
    living = [each.etcd.living for each in found.findings.values() if each.etcd.living]
    marks = {each.etcd.restoring for each in found.findings.values()} - {""}
    return Rebuilt(
        tuple(host for host in plan.etcd_members if host.name not in silent),
        tuple(host for host in plan.masters if host.name not in silent),
        tuple(host for host in plan.hosts if host.name in silent),
        max((each.revision for each in living), default=0),
        min(marks, default=""),
    )


def _silent(plan: ClusterPlan, found: HostFindings) -> dict[str, str]:
    """Masters and hosts of etcd that have nothing of the cluster or don't answer, and why."""
    silent = {}
    for host in plan.hosts:
        if not (host.is_etcd or host.is_master):
            continue
        finding = found.findings.get(host.name)
        if finding is None:
            silent[host.name] = f"{host.name} can't be reached ({found.unreachable.get(host.name, '')})"
        elif not finding.cluster:
            silent[host.name] = f"{host.name} answers, but has nothing of the cluster"
    return silent


def _problems(
    plan: ClusterPlan, found: HostFindings, voters: Voters, survivor: str, *, dead: bool
) -> Iterator[tuple[str, str]]:
    name = plan.config.name
    for host, finding in found.findings.items():
        if finding.cluster not in {"", name}:
            yield (
                f"{host} belongs to the cluster {finding.cluster}, not to {name}",
                f"Check the address of {host} in cluster.yaml.",
            )
    silent = _silent(plan, found)
    if not dead:
        for host, why in silent.items():
            hint = (
                f"Start {host}, and run the same command again. If it is dead for good, or was installed "
                f"anew, add --dead: etcd is rebuilt without it. Then run k8sbootstrap remove {host} --dead."
            )
            yield f"{why}: its etcd or API server could go on with old data", hint
    elif all(host.name in silent for host in plan.etcd_members):
        yield ("no host of etcd answers", "Start one of them. For a new cluster: k8sbootstrap up.")
    elif all(host.name in silent for host in plan.masters):
        yield ("no master answers", "Start one of them.")
    if survivor:
        yield from _of_survivor(found, voters, survivor, silent)


def _of_survivor(
    found: HostFindings, voters: Voters, survivor: str, silent: dict[str, str]
) -> Iterator[tuple[str, str]]:
    if survivor in silent:
        yield (silent[survivor], "Name a host of etcd that answers.")
        return
    etcd = found.findings[survivor].etcd
    if etcd.restoring:
        return
    if not etcd.data:
        yield (
            f"{survivor} has no data of etcd",
            "Name another host, or use a snapshot: k8sbootstrap etcd restore --newest.",
        )
    if voters.have_quorum:
        yield (
            f"etcd has a quorum: {voters.healthy} of {voters.number} members are healthy; nothing is lost",
            "To take dead members out: k8sbootstrap remove NAME --dead.",
        )

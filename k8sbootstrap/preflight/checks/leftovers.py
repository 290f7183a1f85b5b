"""Is there anything of another cluster on the host?"""

from k8sbootstrap.preflight.checks.base import Case
from k8sbootstrap.preflight.models import Verdict, failed, ok, warning

_SHOWN = 4
_CNI = "/etc/cni/net.d/"


def leftovers(case: Case) -> Verdict:
    """Nothing of another cluster is there: no configuration, etcd data, kubelet data or CNI configuration."""
    facts, name = case.facts, case.plan.config.name
    if facts.cluster and not case.ours:
        return failed(
            f"the host belongs to the cluster {facts.cluster}",
            f"Reset it with the cluster.yaml of {facts.cluster} first, or use another host.",
        )
    in_cluster = case.ours and case.plan.config.network.plugin != "routed"  # its pods write these files
    foreign = [
        path
        for path in facts.leftovers
        if not _recorded(path, facts.recorded) and not (in_cluster and path.startswith(_CNI))
    ]
    if not foreign:
        return ok(f"only what belongs to {name}" if facts.leftovers else "none")
    listed = ", ".join(foreign[:_SHOWN]) + (" and more" if len(foreign) > _SHOWN else "")
    if case.ours:  # a run that was killed may not have got round to recording its last files
        return warning(f"not recorded as put there by k8sbootstrap: {listed}", "See whether they are needed.")
    return failed(
        f"something of another cluster is there: {listed}",
        "Take that cluster off with the tool that made it (kubeadm reset, ...), or move these files away.",
    )


def _recorded(path: str, recorded: frozenset[str]) -> bool:
    return any(path == own or path.startswith(f"{own}/") or own.startswith(f"{path}/") for own in recorded)

"""May the cluster go to the release of cluster.yaml? Named checks of what runs now; they change nothing."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from k8sbootstrap.catalog.data import numbers
from k8sbootstrap.catalog.runtimes import known_minors
from k8sbootstrap.checks.framework import Check, CheckReport, Verdict, apply, failed, may_settle, passed
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.upgrade.observe import Running

CERTIFICATE_DAYS = 7
_BEHIND = 3
"""How many minors a kubelet may be older than the API servers."""
_SHOWN = 4


@dataclass(frozen=True)
class UpgradeCase:
    """The cluster under examination."""

    plan: ClusterPlan
    running: Running
    left_out: frozenset[str] = frozenset()
    """Hosts that ``--limit`` leaves out."""

    @property
    def target(self) -> str:
        """The release of cluster.yaml."""
        return self.plan.release.version


def version(case: UpgradeCase) -> Verdict:
    """The API servers are upgraded by one minor at most, and nothing is downgraded.

    Fix: Upgrade one minor at a time. Set `kubernetes.version` to a release of the next minor, run
    `k8sbootstrap up`, and go on from there.
    """
    target, versions = case.target, case.running.versions()
    newer = {
        f"{name} on {host}": running
        for name, hosts in versions.items()
        for host, running in hosts.items()
        if numbers(running) > numbers(target)
    }
    if newer:
        newest = max(newer.values(), key=numbers)
        return failed(
            f"{_few(_grouped(newer))}: a downgrade to {target} is not possible, because it may "
            "not read the data of a newer release",
            f"Set kubernetes.version to {newest} or later.",
        )
    oldest = min(versions.get("kube-apiserver", {}).values(), key=numbers, default=target)
    if _minor(target)[0] != _minor(oldest)[0] or _minor(target)[1] - _minor(oldest)[1] > 1:
        major, minor = _minor(oldest)
        following = f"{major}.{minor + 1}"
        return failed(
            f"from {oldest} to {target} API servers would skip a minor version",
            f"Set kubernetes.version to a release of {following} and run up. Then continue, one minor "
            "version at a time."
            if following in known_minors()
            else f"This version of k8sbootstrap does not install {following}: install a new cluster.",
        )
    return passed(f"from {oldest} to {target}")


def skew(case: UpgradeCase) -> Verdict:
    """Every kubelet that is not upgraded is recent enough for API servers of the new release.

    Fix: Upgrade these nodes too, or remove them from the cluster.
    """
    versions = case.running.versions()
    servers = {_minor(each) for each in versions.get("kube-apiserver", {}).values()}
    if servers and max(servers)[1] - min(servers)[1] > 1:
        return failed(
            f"API servers run {_few(_grouped(versions['kube-apiserver']))}: they must be "
            "within one minor version of each other",
            "First upgrade the older ones to the next minor version.",
        )
    lost = {host.name for host in case.running.status.hosts if not host.reachable}
    foreign = {node.name for node in case.running.status.nodes if not node.planned}
    old = {
        name: kubelet
        for name, kubelet in versions.get("kubelet", {}).items()
        if name in lost | foreign | case.left_out and _minor(case.target)[1] - _minor(kubelet)[1] > _BEHIND
    }
    if old:
        return failed(
            f"kubelets that stay at {_few(_grouped(old))} would be more than {_BEHIND} minor "
            "versions older than the API servers",
            "Upgrade these nodes too, or remove them from the cluster.",
        )
    return passed(f"no kubelet stays more than {_BEHIND} minor versions behind")


def etcd_version(case: UpgradeCase) -> Verdict:
    """Etcd is upgraded by one minor at most, and is not downgraded.

    Fix: First upgrade to a release with the etcd in between, or name etcd's version under `releases`.
    """
    target = case.plan.release.binaries["etcd"].version
    for host, running in sorted(case.running.etcd().items(), key=lambda item: numbers(item[1])):
        if numbers(running) > numbers(target):
            return failed(
                f"etcd on {host} is {running}, but {case.target} would install the older {target}",
                f"Set its version in cluster.yaml: releases: {{{case.target}: {{etcd: {running}}}}}",
            )
        (major, minor), (next_major, next_minor) = _minor(running), _minor(target)
        if next_major != major or next_minor - minor > 1:
            return failed(
                f"etcd on {host} is {running}: the upgrade to {target} would skip a minor version",
                f"First upgrade to a release with etcd {major}.{minor + 1}, or set its version: "
                f"releases: {{VERSION: {{etcd: {major}.{minor + 1}.x}}}}",
            )
    return passed(target)


def hosts(case: UpgradeCase) -> Verdict:
    """Every master and etcd host is in the run, answers over SSH, and its components are healthy.

    Fix: Repair the hosts that the message names. `k8sbootstrap doctor` says what is wrong with them.
    """
    problems = []
    for host in case.running.status.hosts:
        if not set(host.roles) & {"master", "etcd"}:
            continue
        if host.name in case.left_out:
            problems.append(f"{host.name} is left out by --limit")
        elif not host.reachable:
            problems.append(f"{host.name} does not answer: {host.error}")
        else:
            problems += [
                f"{host.name}: {component.name}: {component.message}"
                for component in host.components
                if not component.healthy and component.name not in {"kubelet", "kube-proxy"}
            ]
    if problems:
        return failed(_few(problems), "Fix these first: the upgrade continues only while all are healthy.")
    return passed("all well")


def etcd_health(case: UpgradeCase) -> Verdict:
    """Every etcd member is healthy: each one must restart while the others keep the quorum.

    Fix: Look at the members that the message names: `journalctl -u etcd` on their hosts, and `k8sbootstrap
    etcd status`.
    """
    sick = [f"{member.host}: {member.message}" for member in case.running.status.etcd if not member.healthy]
    if sick:
        return failed(_few(sick), "Fix the members: journalctl -u etcd on their hosts shows what is wrong.")
    return passed(f"{len(case.running.status.etcd)} members")


def nodes(case: UpgradeCase) -> Verdict:
    """Every node is Ready.

    Fix: Bring the nodes back, or take them out: `k8sbootstrap remove NAME`.
    """
    status = case.running.status
    if status.api_error:
        return failed(f"the API does not list nodes: {status.api_error}", "Fix the API first.")
    waiting = [
        f"{node.name}: {node.message}"
        for node in status.nodes
        if not node.ready and node.name not in case.running.cordoned and (node.version or not node.planned)
    ]
    if waiting:
        return failed(
            _few(waiting), "Bring them back, or remove them from cluster.yaml and from the cluster."
        )
    return passed(f"{len(status.nodes)} nodes")


def certificates(case: UpgradeCase) -> Verdict:
    """No certificate on the hosts expires within 7 days.

    Fix: Run `k8sbootstrap certs renew`, or `k8sbootstrap up` with the release that runs.
    """
    ending = [
        f"{host.name}: {certificate.path} ends on {certificate.not_after:%Y-%m-%d}"
        for host in case.running.status.hosts
        for certificate in host.certificates
        if certificate.days_left < CERTIFICATE_DAYS
    ]
    if ending:
        return failed(
            _few(ending),
            "First run k8sbootstrap up with the current release, which makes new certificates.",
        )
    return passed(f"all are valid for at least {CERTIFICATE_DAYS} days")


def deprecated_apis(case: UpgradeCase) -> Verdict:
    """Since the API servers started, no client has used an API that the new release no longer has.

    Fix: Move clients to the newer version of the API. On masters, look for `k8s.io/deprecated` in
    `/var/log/kubernetes/audit.log`: it names the clients.
    """
    gone = [
        f"{use.resource} (removed in {use.removed})"
        for use in case.running.deprecated
        if numbers(use.removed)[:2] <= _minor(case.target)
    ]
    if gone:
        return failed(
            f"in use: {_few(gone)}",
            "Move clients to the newer version of the API. To find them, look for "
            "k8s.io/deprecated in /var/log/kubernetes/audit.log on masters.",
        )
    return passed("none are in use")


def bare_pods(case: UpgradeCase) -> Verdict:
    """No pod without a controller runs on a node that is to be drained: nothing would create it again.

    Fix: Delete the pods, or run them from a Deployment. If you ignore the check, the drain deletes them.
    """
    lost = [f"{pod.name} on {pod.node}" for pod in case.running.bare_pods if _changes(case, pod.node)]
    if lost:
        return failed(
            f"no controller would start these pods again: {_few(lost)}",
            "Remove them, or run them from a Deployment. If you ignore this check, the drain "
            "of their node deletes them.",
        )
    return passed("none")


def budgets(case: UpgradeCase) -> Verdict:
    """Every PodDisruptionBudget allows an eviction now: otherwise the drain would wait in vain.

    Fix: Run more pods, or let the budget allow a disruption. If you ignore the check, the drain waits for
    `upgrade.drainTimeout`.
    """
    if not any(_changes(case, host.name) for host in case.plan.nodes):
        return passed("no node is drained")
    tight = [
        f"{budget.name} ({budget.healthy} of {budget.pods} pods are healthy, {budget.wanted} must be)"
        for budget in case.running.budgets
        if budget.pods and budget.allowed < 1
    ]
    if tight:
        return failed(
            f"no pod can be evicted from {_few(tight)}",
            "Run more pods, or let the budget allow a disruption. If you ignore this check, "
            "the drain waits for upgrade.drainTimeout.",
        )
    return passed(f"{len(case.running.budgets)} budgets")


CHECKS = (
    Check("upgrade-version", version),
    Check("upgrade-skew", skew),
    Check("upgrade-etcd-version", etcd_version),
    Check("upgrade-hosts", hosts, settles=True),
    Check("upgrade-etcd-health", etcd_health, settles=True),
    Check("upgrade-nodes", nodes, settles=True),
    Check("upgrade-certificates", certificates),
    Check("upgrade-deprecated-apis", deprecated_apis),
    Check("upgrade-bare-pods", bare_pods),
    Check("upgrade-budgets", budgets, settles=True),
)
"""The checks, in the order of the report."""
NAMES = tuple(check.name for check in CHECKS)


def judge(case: UpgradeCase, ignore: Collection[str] = ()) -> CheckReport:
    """Apply all checks.

    Args:
        case: The cluster.
        ignore: Names of checks whose failures do not count.
    """
    name = case.plan.config.name
    return CheckReport(name, tuple(apply(CHECKS, case, name, ignore)))


def is_worth_waiting(report: CheckReport) -> bool:
    """Whether a moment may fix all that stands in the way."""
    return bool(report.failures) and may_settle(CHECKS, report.results) == list(report.failures)


def _changes(case: UpgradeCase, node: str) -> bool:
    """Whether a node is drained: its kubelet is another release's."""
    kubelet = case.running.versions().get("kubelet", {}).get(node, "")
    known = {host.name for host in case.plan.nodes} - case.left_out
    return node in known and kubelet not in {"", case.target}


def _minor(text: str) -> tuple[int, int]:
    major, minor, *_ = numbers(text)
    return major, minor


def _grouped(versions: Mapping[str, str]) -> Iterator[str]:
    """``1.35.8 (kubelet on worker1, ...)`` for each release."""
    for each in sorted(set(versions.values()), key=numbers):
        names = [name for name, running in versions.items() if running == each]
        yield f"{each} ({_few(names)})"


def _few(things: Iterable[str]) -> str:
    named = list(things)
    rest = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return ", ".join(named[:_SHOWN]) + rest

"""The run itself: look, judge, and once more where something has not settled yet."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from k8sbootstrap.checks.cluster import ALL_CHECKS, CLEANUP_CHECKS, HEALTH_CHECKS, POD_CHECKS, TRAFFIC_CHECKS
from k8sbootstrap.checks.cluster.shared import NO_NETWORK
from k8sbootstrap.checks.framework import CLUSTER, Check, CheckReport, CheckResult, apply, may_settle, settle
from k8sbootstrap.checks.workload.lifecycle import ProbePods
from k8sbootstrap.checks.workload.traffic import host_request, logs_command, pod_command
from k8sbootstrap.errors import VerifyError
from k8sbootstrap.hosts.answers import RunAnswer, RunCommand
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.cluster.facts import Facts, Workload
from k8sbootstrap.survey.cluster.kubectl import Kubectl
from k8sbootstrap.survey.cluster.observe import look
from k8sbootstrap.survey.cluster.parse import node_ready
from k8sbootstrap.survey.cluster.requests import API, health_request

POLL = 0.5
"""Seconds between looks while something has not settled."""
_CUT = "use of closed network connection"
"""What a request to a kubelet may end with, once, when its API server has just read a new client certificate:
it closes all connections that it made with the old one (k8s.io/client-go, transport/cert_rotation.go)."""
NOTICE = 70.0
"""Seconds after which a cluster has noticed that a node is down: kube-controller-manager gives it 50 s, looks
every 5 s, and then takes the node's pods out of Services."""


def run_verify(
    plan: ClusterPlan,
    pool: Pool,
    *,
    short: bool = False,
    allow_down: Collection[str] = (),
    on_result: Callable[[CheckResult], None] | None = None,
) -> CheckReport:
    """Check a running cluster. Never raises for what is wrong with the cluster: the report says it.

    Args:
        plan: The cluster as it should be.
        pool: Connections to the hosts.
        short: Only look at the cluster as it stands; start no pods.
        allow_down: Names of hosts that are known to be down: their checks are skipped, all else must be good.
        on_result: Called with each result as soon as it is known.

    Returns:
        All results, in the order of the checks.

    Raises:
        KeyboardInterrupt: after the test pods were removed.
    """
    hosts = Hosts(pool, (host.ssh for host in plan.hosts))
    return _Verification(plan, hosts, frozenset(allow_down), on_result).run(short=short)


def conclude(report: CheckReport) -> None:
    """Turn a report into the error that it stands for.

    Raises:
        VerifyError: when a check failed; the message names each failed check with its hosts.
    """
    if report.ok:
        return
    failed = {result.check for result in report.failures}
    first = next((check.name for check in ALL_CHECKS if check.name in failed), "")
    hint = f"Fix {first} first: later failures are often caused by earlier ones." if first else ""
    raise VerifyError(
        f"The cluster {report.cluster} does not work correctly: {report.failed_on or 'no host was checked'}",
        hint,
    )


class _Verification:
    """One run's state: the latest facts and the results so far."""

    def __init__(
        self,
        plan: ClusterPlan,
        hosts: Hosts,
        allow_down: frozenset[str],
        on_result: Callable[[CheckResult], None] | None,
    ) -> None:
        self._hosts = hosts
        self._on_result = on_result
        self._facts = Facts(plan, allow_down)
        self._kubectl = Kubectl(hosts, [host.name for host in plan.masters if host.name not in allow_down])
        self._results: list[CheckResult] = []
        self._start = self._phase_start = time.monotonic()

    def run(self, *, short: bool) -> CheckReport:
        self._settle()
        self._judge(HEALTH_CHECKS)
        if not short:
            self._until_noticed()
            self._with_pods()
        return CheckReport(
            self._facts.plan.config.name, tuple(self._results), round(time.monotonic() - self._start, 3)
        )

    def _settle(self) -> None:
        """Look until all is well on the hosts that answer, or until it has had its time."""

        def is_worth_waiting(facts: Facts) -> bool:
            troubled = may_settle(HEALTH_CHECKS, apply(HEALTH_CHECKS, facts, CLUSTER))
            return not {result.host for result in troubled} <= facts.lost.keys()

        self._facts = settle(
            lambda: look(self._facts, self._hosts, health_request, self._kubectl), is_worth_waiting, POLL
        )

    def _until_noticed(self) -> None:
        """Wait until the API says that hosts are down. Until then Services send requests to pods there."""

        def is_unnoticed(facts: Facts) -> bool:
            return any(name in facts.nodes and not node_ready(facts.nodes[name]) for name in facts.allow_down)

        if is_unnoticed(self._facts):
            self._facts = settle(
                lambda: look(self._facts, self._hosts, health_request, self._kubectl),
                is_unnoticed,
                POLL,
                NOTICE,
            )

    def _judge(self, checks: Iterable[Check[Facts]]) -> None:
        seconds = round(time.monotonic() - self._phase_start, 3)
        for result in apply(checks, self._facts, CLUSTER):
            timed = replace(result, seconds=seconds)
            self._results.append(timed)
            if self._on_result is not None:
                self._on_result(timed)
        self._phase_start = time.monotonic()

    def _with_pods(self) -> None:
        facts = self._facts
        kit = ProbePods(
            self._kubectl, facts.plan.release.test_image.ref, (host.name for host in facts.live_nodes)
        )
        if facts.api_error:
            self._facts = replace(facts, workload=Workload(kit.namespace, error=facts.api_error))
            self._judge((*POD_CHECKS, *TRAFFIC_CHECKS, *CLEANUP_CHECKS))
            return
        if {host.name for host in facts.live_nodes} <= facts.without_network:
            self._facts = replace(facts, workload=Workload(kit.namespace, omitted=NO_NETWORK))
            self._judge((*POD_CHECKS, *TRAFFIC_CHECKS, *CLEANUP_CHECKS))
            return
        try:
            self._start_pods(kit)
            self._judge(POD_CHECKS)
            self._traffic()
            self._judge(TRAFFIC_CHECKS)
        finally:
            self._facts = replace(self._facts, leftover=kit.remove())
        self._judge(CLEANUP_CHECKS)

    def _start_pods(self, kit: ProbePods) -> None:
        workload = Workload(kit.namespace)
        try:
            kit.sweep()
            workload = kit.create()
            workload = replace(workload, pods=kit.wait(hopeless_nodes(self._facts)))
        except VerifyError as error:
            workload = replace(workload, error=f"the test pods could not be started: {error}")
        self._facts = replace(self._facts, workload=workload)

    def _traffic(self) -> None:
        """Everything at once: logs and exec on a master, requests from every host."""
        facts, workload = self._facts, self._facts.workload
        if workload is None or workload.error or not workload.running:
            return
        pods = workload.running
        commands = {f"logs {node}": logs_command(workload, pod) for node, pod in pods.items()}
        commands |= {f"exec {node}": pod_command(facts, workload, pod) for node, pod in pods.items()}
        requests = {host.name: host_request(facts, workload, host) for host in facts.live_nodes}
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self._hosts.ask_all, requests)
            ran = {}
            with suppress(VerifyError):
                ran = ask_again(self._kubectl.batch, commands)
            workload = replace(
                workload,
                hosts=asked.result(),
                logs={node: ran[f"logs {node}"] for node in pods if f"logs {node}" in ran},
                execs={node: ran[f"exec {node}"] for node in pods if f"exec {node}" in ran},
            )
        self._facts = replace(facts, workload=workload, lost=dict(self._hosts.lost))


def ask_again(
    batch: Callable[[Mapping[str, RunCommand]], dict[str, RunAnswer]], commands: Mapping[str, RunCommand]
) -> dict[str, RunAnswer]:
    """Run commands, and once more those whose connection an API server cut to use a new certificate.

    Args:
        batch: Runs commands on a master.
        commands: Those to run, by name.
    """
    ran = batch(commands)
    cut = {name: commands[name] for name, answer in ran.items() if _CUT in answer.stderr}
    return ran | batch(cut) if cut else ran


def hopeless_nodes(facts: Facts) -> set[str]:
    """Nodes that are known to start no pod now: not Ready, with a dead kubelet, or with no way to the API."""
    hopeless = {name for name, node in facts.nodes.items() if node_ready(node)}
    for host in facts.plan.nodes:
        answer = facts.answers.get(host.name)
        well = answer is not None and answer.http["kubelet"].ok and answer.http[API].ok
        if not well or host.name not in facts.nodes:
            hopeless.add(host.name)
    return hopeless

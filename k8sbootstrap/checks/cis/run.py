"""Runs kube-bench on all hosts in parallel."""

import base64
import gzip
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from k8sbootstrap.checks.cis.answers import FORM, HostTold
from k8sbootstrap.checks.cis.benchmark import Benchmark, read_benchmark
from k8sbootstrap.checks.cis.checks import Case, checks
from k8sbootstrap.checks.framework import CLUSTER, CheckReport, apply
from k8sbootstrap.errors import ArtifactError, K8sBootstrapError, VerifyError
from k8sbootstrap.hosts import ask as asking
from k8sbootstrap.hosts.ask import Question
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import ClusterPlan, HostPlan

_SECONDS = 240
"""That kube-bench may take; the policies of a cluster with many pods take longest."""
_SECONDS_TO_SEND = 360
_ADMIN = "/etc/kubernetes/admin.conf"
"""On masters: what kube-bench asks the API with."""


@dataclass(frozen=True)
class KubeBench:
    """kube-bench for one architecture."""

    program: Path
    controls: Mapping[str, Path]
    """File name, as in master.yaml, to the file."""


@dataclass(frozen=True)
class Run:
    """One run of kube-bench on a host."""

    target: str
    only: tuple[str, ...] = ()
    """The only controls to judge; empty for all."""
    skip: tuple[str, ...] = ()
    """Controls not to judge."""

    def controls(self, benchmark: Benchmark) -> list[str]:
        """IDs of what it judges."""
        all_ = [control.id for control in benchmark.controls if control.target == self.target]
        return [each for each in all_ if each not in self.skip and (not self.only or each in self.only)]


def runs_of(host: HostPlan, benchmark: Benchmark, *, policies: bool) -> list[Run]:
    """What is to be judged on a host.

    The benchmark takes it that etcd is on masters, so files of etcd are among a master's controls.

    Args:
        host: The host.
        benchmark: The controls.
        policies: Whether it judges the objects in the cluster too.
    """
    of_etcd = tuple(benchmark.of("master", about_etcd=True))
    runs = []
    if host.is_master:
        runs += [Run("master", skip=() if host.is_etcd else of_etcd), Run("controlplane")]
    elif host.is_etcd:
        runs.append(Run("master", only=of_etcd))
    if host.is_etcd:
        runs.append(Run("etcd"))
    if host.is_node:
        runs.append(Run("node"))
    return [*runs, Run("policies")] if policies else runs


def run_cis(
    plan: ClusterPlan,
    pool: Pool,
    programs: Mapping[str, KubeBench],
    *,
    allow_down: Collection[str] = (),
    on_host: Callable[[str], None] = lambda _: None,
) -> CheckReport:
    """Run kube-bench on all hosts. Nothing on them changes.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        programs: kube-bench by architecture.
        allow_down: Names of hosts that are known to be down: nothing is judged there.
        on_host: Told the name of each host that is done.

    Returns:
        All results; there is a check for each control, with its ID as its name.

    Raises:
        ArtifactError: A file of kube-bench can't be read.
    """
    began = time.monotonic()
    benchmark = read_benchmark(programs[plan.hosts[0].arch].controls)
    judging = next((host.name for host in plan.masters if host.name not in allow_down), "")
    runs = {host.name: runs_of(host, benchmark, policies=host.name == judging) for host in plan.hosts}
    packed = {arch: _packed(each.program) for arch, each in programs.items()}
    common = {
        "files": {
            "config.yaml": files(__package__).joinpath("config.yaml").read_text(encoding="utf-8"),
            **{f"{benchmark.version}/{name}": text for name, text in benchmark.files.items()},
        },
        "benchmark": benchmark.version,
        "kubeconfig": _ADMIN,
        "seconds": _SECONDS,
    }
    program = files("k8sbootstrap.hosts.scripts").joinpath("kube_bench.py").read_bytes()
    arch_of = {host.name: host.arch for host in plan.hosts}

    def ask(host: str, session: asking.Session) -> HostTold:
        wanted = {"program": packed[arch_of[host]], "runs": [asdict(run) for run in runs[host]]}
        question = Question(program, json.dumps(common | wanted))
        told = asking.ask(host, session, question, FORM, timeout=_SECONDS + _SECONDS_TO_SEND)
        on_host(host)
        return told

    answers = pool.on_all((host.ssh for host in plan.hosts if host.name not in allow_down), ask)
    case = Case(
        expected={
            name: {control: run.target for run in each for control in run.controls(benchmark)}
            for name, each in runs.items()
        },
        told={name: each for name, each in answers.items() if isinstance(each, HostTold)},
        lost={
            name: str(each).removeprefix(f"{name}: ")
            for name, each in answers.items()
            if isinstance(each, K8sBootstrapError)
        },
        down=frozenset(allow_down),
    )
    results = tuple(apply(checks(benchmark), case, CLUSTER))
    return CheckReport(plan.config.name, results, round(time.monotonic() - began, 3))


def _packed(program: Path) -> str:
    """A program as it is sent."""
    try:
        return base64.b64encode(gzip.compress(program.read_bytes(), 6)).decode()
    except OSError as exc:
        raise ArtifactError(f"{program} cannot be read: {exc.strerror}") from exc


def conclude(report: CheckReport) -> None:
    """Turn a report into the error that it stands for.

    Raises:
        VerifyError: A control failed; the message names each with its hosts.
    """
    if report.ok:
        return
    why = report.failed_on or "nothing was judged"
    raise VerifyError(f"The cluster {report.cluster} does not meet the CIS benchmark: {why}")

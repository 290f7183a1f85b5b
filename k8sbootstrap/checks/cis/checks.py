"""Judges what kube-bench said: a check for each control."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from k8sbootstrap.checks.cis.answers import HostTold, Told
from k8sbootstrap.checks.cis.benchmark import Benchmark
from k8sbootstrap.checks.framework import DOWN, Check, Verdict, failed, passed, skipped, warning


@dataclass(frozen=True)
class Case:
    """All answers."""

    expected: Mapping[str, Mapping[str, str]]
    """Host to the controls that are judged there: ID to target."""
    told: Mapping[str, HostTold] = field(default_factory=dict)
    """What hosts said; some have not answered."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Host to why it has not answered."""
    down: frozenset[str] = frozenset()
    """Hosts that are known to be down."""

    def control(self, host: str, name: str) -> Told | None:
        """What kube-bench said of a control on a host."""
        runs = self.told[host].runs if host in self.told else []
        return next((each for run in runs for each in run.controls if each.id == name), None)

    def why_not(self, host: str, target: str) -> str:
        """Why kube-bench said nothing of a control."""
        if host in self.down:
            return DOWN
        if host not in self.told:
            return self.lost.get(host, "kube-bench did not run")
        errors = [run.error for run in self.told[host].runs if run.target == target and run.error]
        return errors[0] if errors else "kube-bench did not report it"


def checks(benchmark: Benchmark) -> list[Check[Case]]:
    """A check of kube-bench itself, and one for each control."""
    return [
        Check("kube-bench", _ran, "kube-bench runs on the host"),
        *(Check(control.id, partial(_judge, control.id), control.title) for control in benchmark.controls),
    ]


def _ran(case: Case) -> Iterator[Verdict]:
    """Kube-bench judged a control on every host. Only hosts where it did not are named: it is no control."""
    for host, controls in case.expected.items():
        judged = any((told := case.control(host, name)) and told.ran for name in controls)
        if not judged and host not in case.down:
            yield failed(case.why_not(host, next(iter(controls.values())))).on(host)


def _judge(name: str, case: Case) -> Iterator[Verdict]:
    """Kube-bench says PASS."""
    for host, controls in case.expected.items():
        if name in controls:
            yield _verdict(case, host, name, controls[name]).on(host)


def _verdict(case: Case, host: str, name: str, target: str) -> Verdict:
    told = case.control(host, name)
    if told is None:
        return skipped(case.why_not(host, target))
    if not told.ran:
        return skipped(told.reason)
    if told.status == "PASS":
        return passed(told.seen)
    if told.status == "WARN":
        return warning(told.seen, told.remediation)
    if told.status == "FAIL":
        return failed(told.seen, told.remediation)
    return skipped("kube-bench does not judge it")

"""Runs the tests on a master, and waits for their end."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.resources import files

from k8sbootstrap.actions.conformance.images import DOWN
from k8sbootstrap.actions.conformance.ready import Ready
from k8sbootstrap.actions.upload import Arrival, OutgoingFile, arriving
from k8sbootstrap.checks.conformance.answers import RUN, ToldRun
from k8sbootstrap.errors import HostError, K8sBootstrapError, VerifyError
from k8sbootstrap.formats.text import count, duration
from k8sbootstrap.hosts import ask as asking
from k8sbootstrap.hosts.ask import Question
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import CONTROL_PLANE, ClusterPlan, HostPlan

Tell = Callable[[str], None]
UNIT = "k8sbootstrap-conformance"
"""The service on the master."""
POLL = 3.0
"""Seconds between two looks at a run."""
PATIENCE = 300.0
"""Seconds that a run goes on though nobody asks, and that the master may be out of reach."""
_SECONDS_TO_STOP = 180.0
_HOURS = 6
"""That a run may take."""
_PROCESSES = 6
"""Tests at the same time. With more, the tests that measure times fail on small hosts."""
_SECONDS_OF_A_TEST = 30.0
"""What a test takes, as long as this run has not shown it."""
_KNOWN = 10
"""Tests that must have ended before their times count."""
_EXAMPLE = "[sig-network] DNS should provide DNS for services [Conformance]"


@dataclass(frozen=True)
class Part:
    """Tests that run together."""

    name: str
    filter: str
    """ginkgo's expression that chooses them by their labels."""
    processes: int
    """Tests at the same time; fewer where the master has little memory."""


PARTS = (
    Part("parallel", "Conformance && !Serial && !Disruptive", _PROCESSES),
    Part("serial", "Conformance && (Serial || Disruptive)", 1),
)


@dataclass(frozen=True)
class Asked:
    """What the user asked for."""

    focus: str = ""
    """Go regular expression: only tests whose name it matches."""
    allow_down: frozenset[str] = frozenset()
    """Names of hosts that are known to be down."""


def masters_of(plan: ClusterPlan, asked: Asked) -> list[HostPlan]:
    """The masters that tests may run on."""
    return [host for host in plan.masters if host.name not in asked.allow_down]


def run(plan: ClusterPlan, pool: Pool, ready: Ready, asked: Asked, tell: Tell) -> ToldRun:
    """Run the tests on the first master that answers, and wait for their end.

    Where this is interrupted, the tests are stopped, and what they made is removed.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        ready: What is on the controller.
        asked: What the user asked for.
        tell: Told in a few words how far the run is.

    Raises:
        VerifyError: No master answers, a run is under way already, or the run was lost.
    """
    reasons = []
    for host in masters_of(plan, asked):
        try:
            pool.session(host.ssh)
        except HostError as exc:
            reasons.append(str(exc))
            continue
        return _Run(plan, pool, host, tell).whole(ready, asked)
    raise VerifyError(
        f"Conformance was not run: no master answers: {'; '.join(reasons) or 'all are known to be down'}",
        hint=DOWN,
    )


class _Run:
    """A run on one master."""

    def __init__(self, plan: ClusterPlan, pool: Pool, host: HostPlan, tell: Tell) -> None:
        self._plan = plan
        self._pool = pool
        self._host = host
        self._tell = tell

    def whole(self, ready: Ready, asked: Asked) -> ToldRun:
        self._tell(f"sending the tests to {self._host.name}")
        programs = ready.programs[self._host.arch]
        sent = [OutgoingFile(file.path, file.sha256) for file in programs.values()]
        with arriving(self._host, sent, threading.BoundedSemaphore(1)) as arrival:
            places = {
                name: {"path": f"{arrival.folder}/{file.sha256}", "sha256": file.sha256}
                for name, file in programs.items()
            }
            told = self._start({"files": places, **self._request(asked)})
            try:
                while not told.copied and told.unit == "running":
                    told = self._look_for_files(arrival)
            except BaseException:
                self._stop()
                raise
        pace = Pace()
        try:
            while told.unit == "running":
                time.sleep(POLL)
                told = self._look()
                self._tell(f"{progress(told)}, about {duration(pace.left(told), 0)} left")
        finally:
            last = self._stop()
        if not told.error and not any(part.total for part in told.parts) and told.unit == "ended":
            raise VerifyError(
                f"No test of Conformance has a name that matches {asked.focus}",
                hint="It is a Go regular expression for whole names, such as: " + _EXAMPLE,
            )
        if told.unit == "gone":
            raise VerifyError(
                f"{self._host.name}: the tests ended without a word{told.error and f': {told.error}'}",
                hint=f"Check whether the host was rebooted or ran out of memory: journalctl -u {UNIT}",
            )
        return last or told

    def _request(self, asked: Asked) -> dict[str, object]:
        down = [host for host in self._plan.nodes if host.name in asked.allow_down]
        taints = {taint.key for host in self._plan.nodes for taint in host.taints} | {CONTROL_PLANE}
        return {
            "focus": asked.focus,
            "parts": [asdict(part) for part in PARTS],
            "seconds": _HOURS * 3600,
            "patience": PATIENCE,
            "arguments": [
                "--kubeconfig=/etc/kubernetes/admin.conf",
                "--kubectl-path=/usr/local/bin/kubectl",
                "--provider=skeleton",
                f"--dns-domain={self._plan.config.network.dns_domain}",
                f"--allowed-not-ready-nodes={len(down)}",
                f"--non-blocking-taints={','.join(sorted(taints))}",
                "--node-schedulable-timeout=3m",
                "--system-pods-startup-timeout=3m",
            ],
        }

    def _start(self, request: dict[str, object]) -> ToldRun:
        runner = (
            files("k8sbootstrap.hosts.scripts").joinpath("conformance_run.py").read_text(encoding="utf-8")
        )
        told = self._ask({"do": "start", "program": runner, "request": request})
        if told.unit == "taken":
            raise VerifyError(
                f"{self._host.name}: these tests are being run there already: {progress(told)}",
                hint=f"Wait for their end, or stop them on the host: systemctl stop {UNIT}",
            )
        return told

    def _look(self) -> ToldRun:
        """How far the run is. A host that does not answer may be back in a moment."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self._ask({"do": "look"})
            except HostError as exc:
                if time.monotonic() > until:
                    raise
                self._tell(f"waiting for {self._host.name}: {exc}")
                time.sleep(POLL)

    def _look_for_files(self, arrival: Arrival) -> ToldRun:
        """How far the run is, while its files are on their way.

        Raises:
            HostError: They will not arrive.
        """
        time.sleep(POLL / 3)
        failure = arrival.failure()  # asked first: the host may have all files a moment later
        told = self._look()
        if failure and not told.copied:
            raise HostError(
                f"{self._host.name}: the tests could not be sent: {failure}",
                hint="Check the space in /var/tmp there, and the SSH connection. Then run the command again.",
            )
        return told

    def _stop(self) -> ToldRun | None:
        """End the run and remove what is left of it; None where the host does not answer."""
        try:
            return self._ask({"do": "stop"}, timeout=_SECONDS_TO_STOP)
        except K8sBootstrapError:
            return None

    def _ask(self, request: dict[str, object], timeout: float = 60) -> ToldRun:
        script = files("k8sbootstrap.hosts.scripts").joinpath("conformance.py").read_bytes()
        session = self._pool.session(self._host.ssh)
        return asking.ask(
            self._host.name, session, Question(script, json.dumps(request)), RUN, timeout=timeout
        )


def progress(told: ToldRun) -> str:
    """How far a run is, in a few words."""
    if not told.parts:
        return "the tests are being counted"
    total, done = sum(part.total for part in told.parts), sum(part.done for part in told.parts)
    failed = sum(part.failed for part in told.parts)
    return f"{done} of {count(total, 'test')}, {failed} failed"


class Pace:
    """Says how long a run will take.

    Args:
        clock: Seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: dict[str, float] = {}

    def left(self, told: ToldRun) -> float:
        """Seconds that are left, judged by the tests that have ended."""
        left = 0.0
        for part in told.parts:
            if part.done or not left:  # parts run one after another
                self._began.setdefault(part.name, self._clock())
            took = self._clock() - self._began.get(part.name, self._clock())
            each = took / part.done if part.done >= _KNOWN else _SECONDS_OF_A_TEST / max(1, part.processes)
            left += max(0, part.total - part.done) * each
        return left

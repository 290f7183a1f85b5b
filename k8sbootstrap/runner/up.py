"""``up``: from bare hosts to a working cluster, as the list of steps it is."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.pki.recover import recover_pki
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.preflight import models as preflight
from k8sbootstrap.preflight.run import require, run_preflight
from k8sbootstrap.runner.hooks import hooked
from k8sbootstrap.runner.prepare import prepare
from k8sbootstrap.runner.progress import Reporter
from k8sbootstrap.runner.record import Summary
from k8sbootstrap.runner.session import Run, running
from k8sbootstrap.ssh.hostkeys import Ask, ensure_known
from k8sbootstrap.state import State
from k8sbootstrap.verify.models import Result, Status
from k8sbootstrap.verify.run import conclude, run_verify


@dataclass(frozen=True)
class UpOptions:
    """What the user chose for one ``up``."""

    accept_new_host_keys: bool = False
    ask: Ask | None = None
    """Asks about unknown host keys; None refuses them."""
    ignore_preflight: Collection[str] = ()
    """Names of preflight checks that may fail."""


def run_up(plan: ClusterPlan, cluster_file: Path, options: UpOptions, reporter: Reporter) -> Summary:
    """Bring the cluster to the state that ``plan`` describes and see that it works.

    Running it again goes on from wherever the last run ended, and changes nothing where all is right.

    Args:
        plan: The desired state.
        cluster_file: cluster.yaml; the state directory is beside it.
        options: What the user chose.
        reporter: Shows what happens.

    Returns:
        How it went, host by host.

    Raises:
        LockedError: Another command is changing this cluster.
        PreflightError: A host is not fit; nothing was changed.
        HostError: A host failed; the others went on as far as they could.
        HookError: A hook failed that must not.
        VerifyError: All is installed, but the cluster does not work.
        InterruptedRunError: The user stopped it.
        K8sBootstrapError: Anything else that a user can mend.
    """
    state = State.beside(cluster_file, plan.config.name)
    with running(state, "k8sbootstrap up", reporter) as run, hooked(run, "up", plan, cluster_file):
        _host_keys(run, plan, options)
        _preflight(run, plan, options)
        _authorities(run, plan, state)
        prepare(plan, cluster_file, state, state.inventory, run.step)
        run.playbook("site.yml", plan.hosts)
        _verify(run, plan)
    return run.result


def _host_keys(run: Run, plan: ClusterPlan, options: UpOptions) -> None:
    with run.step("host_keys", "Host keys"):
        targets = [host.ssh for host in plan.hosts]
        ensure_known(targets, accept_new=options.accept_new_host_keys, ask=options.ask)


def _preflight(run: Run, plan: ClusterPlan, options: UpOptions) -> None:
    with run.step("preflight", "Preflight") as step:
        report = run_preflight(plan, ignore=options.ignore_preflight)
        for result in report.having(preflight.Status.WARNING, preflight.Status.IGNORED):
            step.note(f"{result.host}: {result.check}: {result.status}: {result.message}")
        require(report)


def _authorities(run: Run, plan: ClusterPlan, state: State) -> None:
    with run.step("authorities", "Certificate authorities") as step:
        host = recover_pki(plan, state)
        if host:
            step.note(f"the state directory had none: read back from {host}")


def _verify(run: Run, plan: ClusterPlan) -> None:
    with run.step("verify", "Verify") as step:

        def show(result: Result) -> None:
            text = f"{result.check} ({result.host})"
            step.status(text)
            if result.status is Status.FAILED:
                step.note(f"{text}: {result.message}")

        conclude(run_verify(plan, short=True, on_result=show))

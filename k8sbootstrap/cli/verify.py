"""``k8sbootstrap verify``."""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.status import Status as Spinner

from k8sbootstrap.actions import cis as cis_files
from k8sbootstrap.actions.conformance.images import load_images
from k8sbootstrap.actions.conformance.ready import get_ready
from k8sbootstrap.actions.conformance.run import Asked, masters_of
from k8sbootstrap.actions.conformance.run import run as run_conformance
from k8sbootstrap.artifacts.fetch import summarize
from k8sbootstrap.artifacts.transfers import Transfers
from k8sbootstrap.checks.cis.reasons import reasons
from k8sbootstrap.checks.cis.run import conclude as conclude_cis
from k8sbootstrap.checks.cis.run import run_cis
from k8sbootstrap.checks.cis.text import text as cis_text
from k8sbootstrap.checks.cluster import ALL_CHECKS
from k8sbootstrap.checks.cluster.run import conclude, run_verify
from k8sbootstrap.checks.conformance import record
from k8sbootstrap.checks.conformance.judge import conclude as conclude_conformance
from k8sbootstrap.checks.conformance.judge import judge
from k8sbootstrap.checks.conformance.text import text as conformance_text
from k8sbootstrap.checks.formats import CIS, CONFORMANCE, VERIFY, Form, as_json, as_junit, text_by_check
from k8sbootstrap.checks.framework import CheckReport, CheckResult, Status
from k8sbootstrap.cli.options import Command, Globals, bundle_option, output_option
from k8sbootstrap.formats.text import count, duration
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State


@click.command("verify", cls=Command)
@click.option("--short", is_flag=True, help="Check only components, etcd, nodes and the API. Start no pods.")
@click.option(
    "--cis",
    is_flag=True,
    help="Run only kube-bench, on every host: it checks the hosts and the cluster against the CIS benchmark.",
)
@click.option(
    "--conformance",
    is_flag=True,
    help="Run only upstream's Conformance tests of the cluster's release. All of them take about an hour.",
)
@click.option(
    "--focus",
    metavar="PATTERN",
    help='With --conformance: run only tests whose name matches this regular expression, for example "DNS".',
)
@click.option(
    "--allow-down",
    "allow_down",
    multiple=True,
    metavar="HOST",
    help="Skip this host, which is known to be down. All other checks must pass. May be given several times.",
)
@output_option(
    'text: one line per check, with details of failures; "k8sbootstrap -v verify" shows every '
    "host. json: every result."
)
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE",
    help="Also write the results as JUnit XML.",
)
@bundle_option
@click.pass_obj
def command(
    settings: Globals,
    *,
    short: bool,
    cis: bool,
    conformance: bool,
    focus: str | None,
    allow_down: tuple[str, ...],
    output: str,
    junit: Path | None,
    bundle: Path | None,
) -> None:
    """Check that the cluster works.

    Checks every host and the API. Then starts a small pod on every node and tests the network between pods on
    different nodes, ClusterIPs, NodePorts, logs and exec. Removes everything that it started. Needs only SSH
    to the hosts. The exit code is 6 if a check failed.

    With --cis, checks that hosts and cluster follow the CIS benchmark instead. Changes nothing on the hosts.

    With --conformance, runs the tests that define what Kubernetes is, on a master. They start pods in
    namespaces of their own and remove them.
    """
    kinds = {"--short": short, "--cis": cis, "--conformance": conformance}
    given = [name for name, on in kinds.items() if on]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other")
    if bundle and not (cis or conformance):
        raise click.UsageError("--bundle needs --cis or --conformance")
    if focus is not None and not conformance:
        raise click.UsageError("--focus needs --conformance")
    if focus == "":
        raise click.BadParameter("it is empty; leave it out to run all tests", param_hint="--focus")
    plan = load_plan(settings.file, bundle)
    names = [host.name for host in plan.hosts]
    for name in allow_down:
        if name not in names:
            raise click.BadParameter(
                f"{name} is not a host of this cluster. Its hosts are {', '.join(names)}.",
                param_hint="--allow-down",
            )
    if junit is not None and not junit.parent.is_dir():
        raise click.BadParameter(f"{junit.parent} is not a directory", param_hint="--junit")
    if cis:
        _benchmark(settings, plan, allow_down, output, junit)
    elif conformance:
        _conformance(settings, plan, Asked(focus or "", frozenset(allow_down)), output, junit)
    else:
        _cluster(settings, plan, allow_down, output, junit, short=short)


def _cluster(
    settings: Globals,
    plan: ClusterPlan,
    allow_down: Collection[str],
    output: str,
    junit: Path | None,
    *,
    short: bool,
) -> None:
    """Check that the cluster works."""
    with Spinner("asking the hosts", console=settings.errors) as spinner, Pool() as pool:

        def show(result: CheckResult) -> None:
            spinner.update(f"{result.check} {result.host}: {result.status.value}")

        report = run_verify(plan, pool, short=short, allow_down=allow_down, on_result=show)
    _write_junit(report, junit, VERIFY)
    if output == "json":
        click.echo(as_json(report, VERIFY))
    else:
        for line in text_by_check(report, VERIFY, ALL_CHECKS, every=settings.verbosity > 0):
            settings.console.print(line)
        if report.ok:
            settings.console.print(
                f"The cluster {report.cluster} works ({report.seconds:.1f} s).", markup=False
            )
    conclude(report)


def _benchmark(
    settings: Globals,
    plan: ClusterPlan,
    allow_down: Collection[str],
    output: str,
    junit: Path | None,
) -> None:
    """Check hosts and cluster against the CIS benchmark."""
    transfers = Transfers()
    with Spinner("getting kube-bench", console=settings.errors) as spinner, Pool() as pool:
        fetched = cis_files.fetch(
            plan,
            settings.file,
            lambda progress: spinner.update(transfers.update(progress) or "getting kube-bench"),
        )
        for line in summarize(fetched):
            settings.errors.print(line, markup=False)
        spinner.update("kube-bench runs on the hosts")
        report = run_cis(
            plan,
            pool,
            cis_files.programs(plan, fetched),
            allow_down=allow_down,
            on_host=lambda host: spinner.update(f"kube-bench has judged {host}"),
        )
    _write_junit(report, junit, CIS)
    if output == "json":
        click.echo(as_json(report, CIS))
    else:
        for told in cis_text(report, reasons(), every=settings.verbosity > 0):
            settings.console.print(told)
        if report.ok:
            settings.console.print(
                f"No control failed in the cluster {report.cluster} ({report.seconds:.1f} s).", markup=False
            )
    conclude_cis(report)


def _conformance(settings: Globals, plan: ClusterPlan, asked: Asked, output: str, junit: Path | None) -> None:
    """Run upstream's Conformance tests."""
    transfers, began = Transfers(), datetime.now(UTC)
    with Spinner("getting the tests", console=settings.errors) as spinner, Pool() as pool:
        ready = get_ready(
            plan,
            settings.file,
            masters_of(plan, asked),
            lambda progress: spinner.update(transfers.update(progress) or "getting the tests"),
        )
        for line in summarize(ready.fetched):
            settings.errors.print(line, markup=False)
        spinner.update("nodes get the images")
        for line in load_images(plan, pool, ready, asked.allow_down):
            settings.errors.print(f"{line}. Tests that start it will not be run.", markup=False)
        told = run_conformance(plan, pool, ready, asked, spinner.update)
    report = judge(plan.config.name, told, ready.refs, (datetime.now(UTC) - began).total_seconds())
    state = State.beside(settings.file, plan.config.name)
    record.write(state, record.Conformance(plan.config.kubernetes.version, began, asked.focus, report), told)
    _write_junit(report, junit, CONFORMANCE)
    if output == "json":
        click.echo(as_json(report, CONFORMANCE))
    else:
        for told_line in conformance_text(report, every=settings.verbosity > 0):
            settings.console.print(told_line)
        if report.ok:
            left_out = len(report.having(Status.SKIPPED))
            settings.console.print(
                f"No test failed in the cluster {report.cluster} ({duration(report.seconds)})."
                + (f" {count(left_out, 'test')} not run." if left_out else ""),
                markup=False,
            )
        elif record.has_log(state):
            settings.console.print(f"What failed tests printed: {state.conformance_log}", markup=False)
    conclude_conformance(report)


def _write_junit(report: CheckReport, junit: Path | None, form: Form) -> None:
    if junit is not None:
        try:
            junit.write_text(as_junit(report, form), encoding="utf-8")
        except OSError as error:
            raise click.FileError(str(junit), error.strerror) from error

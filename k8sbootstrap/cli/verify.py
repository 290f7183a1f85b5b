"""``k8sbootstrap verify``."""

from collections.abc import Collection
from pathlib import Path

import click
from rich.status import Status as Spinner

from k8sbootstrap.actions import cis as cis_files
from k8sbootstrap.artifacts.fetch import summarize
from k8sbootstrap.artifacts.transfers import Transfers
from k8sbootstrap.checks.cis.reasons import reasons
from k8sbootstrap.checks.cis.run import conclude as conclude_cis
from k8sbootstrap.checks.cis.run import run_cis
from k8sbootstrap.checks.cis.text import text as cis_text
from k8sbootstrap.checks.cluster import ALL_CHECKS
from k8sbootstrap.checks.cluster.run import conclude, run_verify
from k8sbootstrap.checks.formats import CIS, VERIFY, as_json, as_junit, text_by_check
from k8sbootstrap.checks.framework import CheckReport, CheckResult
from k8sbootstrap.cli.options import Command, Globals, bundle_option, output_option
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan


@click.command("verify", cls=Command)
@click.option("--short", is_flag=True, help="Check only components, etcd, nodes and the API. Start no pods.")
@click.option(
    "--cis",
    is_flag=True,
    help="Run only kube-bench, on every host: it checks the hosts and the cluster against the CIS benchmark.",
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
    """
    if cis and short:
        raise click.UsageError("--cis and --short exclude each other")
    if bundle and not cis:
        raise click.UsageError("--bundle needs --cis")
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
    _write_junit(report, junit, "k8sbootstrap-verify")
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
    _write_junit(report, junit, "k8sbootstrap-cis")
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


def _write_junit(report: CheckReport, junit: Path | None, suite: str) -> None:
    if junit is not None:
        try:
            junit.write_text(as_junit(report, suite), encoding="utf-8")
        except OSError as error:
            raise click.FileError(str(junit), error.strerror) from error

"""``k8sbootstrap verify``."""

from pathlib import Path

import click
from rich.status import Status as Spinner

from k8sbootstrap.checks.cluster import ALL_CHECKS
from k8sbootstrap.checks.cluster.run import conclude, run_verify
from k8sbootstrap.checks.formats import VERIFY, as_json, as_junit, text_by_check
from k8sbootstrap.checks.framework import CheckResult
from k8sbootstrap.cli.options import Command, Globals, output_option
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan


@click.command("verify", cls=Command)
@click.option("--short", is_flag=True, help="Check only components, etcd, nodes and the API. Start no pods.")
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
@click.pass_obj
def command(
    settings: Globals, *, short: bool, allow_down: tuple[str, ...], output: str, junit: Path | None
) -> None:
    """Check that the cluster works.

    Checks every host and the API. Then starts a small pod on every node and tests the network between pods on
    different nodes, ClusterIPs, NodePorts, logs and exec. Removes everything that it started. Needs only SSH
    to the hosts. The exit code is 6 if a check failed.
    """
    plan = load_plan(settings.file)
    names = [host.name for host in plan.hosts]
    for name in allow_down:
        if name not in names:
            raise click.BadParameter(
                f"{name} is not a host of this cluster. Its hosts are {', '.join(names)}.",
                param_hint="--allow-down",
            )
    if junit is not None and not junit.parent.is_dir():
        raise click.BadParameter(f"{junit.parent} is not a directory", param_hint="--junit")
    with Spinner("asking the hosts", console=settings.errors) as spinner, Pool() as pool:

        def show(result: CheckResult) -> None:
            spinner.update(f"{result.check} {result.host}: {result.status.value}")

        report = run_verify(plan, pool, short=short, allow_down=allow_down, on_result=show)
    if junit is not None:
        try:
            junit.write_text(as_junit(report, "k8sbootstrap-verify"), encoding="utf-8")
        except OSError as error:
            raise click.FileError(str(junit), error.strerror) from error
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

"""``k8sbootstrap preflight``."""

import json
import sys
from collections.abc import Iterator
from itertools import groupby

import click
from rich.text import Text

from k8sbootstrap.checks.hosts.models import CheckResult, PreflightReport, Status
from k8sbootstrap.checks.hosts.run import CHECK_NAMES, run_preflight
from k8sbootstrap.cli.main import Globals
from k8sbootstrap.errors import PreflightError
from k8sbootstrap.hosts.host_keys import ensure_known
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "bold red"}


@click.command("preflight")
@click.option(
    "--ignore",
    metavar="NAME",
    multiple=True,
    type=click.Choice(CHECK_NAMES),
    help='Let this check fail; may be given several times. "k8sbootstrap -v preflight" lists the names.',
)
@click.option(
    "--accept-new-host-keys",
    is_flag=True,
    help="Trust the SSH keys of hosts seen for the first time. Changed keys are refused all the same.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the report.",
)
@click.pass_obj
def command(
    options: Globals,
    ignore: tuple[str, ...],
    accept_new_host_keys: bool,  # noqa: FBT001
    output: str,
) -> int:
    """Check that every host is fit for the cluster. Changes nothing on the hosts.

    Looks at SSH and sudo, operating system, clocks, swap, ports, disk, memory, kernel, addresses and
    leftovers of other clusters, on all hosts at once. Hosts seen for the first time show the fingerprint of
    their SSH key, and you are asked whether it is the right one. The exit code is 4 when a check failed.
    """
    plan = load_plan(options.file)
    with Pool() as pool:
        ensure_known(
            pool,
            [host.ssh for host in plan.hosts],
            accept_new=accept_new_host_keys,
            ask=_ask if sys.stdin.isatty() else None,
        )
        report = run_preflight(plan, pool, ignore=ignore)
    if output == "json":
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        for line in _lines(report, everything=options.verbosity > 0):
            options.console.print(line)
    return PreflightError.exit_code if report.failed else 0


def _ask(host: str, address: str, key_type: str, fingerprint: str) -> bool:
    click.echo(
        f"{host} ({address}) is new here. Its {key_type} key has the fingerprint {fingerprint}.", err=True
    )
    return click.confirm("Is that the key you expect?", err=True)


def _lines(report: PreflightReport, *, everything: bool) -> Iterator[Text]:
    """The report by host: problems with their fixes, or ``everything``; then the summary."""
    quiet = set() if everything else {Status.OK, Status.SKIPPED}
    shown = [result for result in report.results if result.status not in quiet]
    for host, results in groupby(shown, key=lambda result: result.host):
        yield Text(host, style="bold")
        for result in results:
            yield from _entry(result)
    yield Text(report.summary)


def _entry(result: CheckResult) -> Iterator[Text]:
    line = Text("  ").append(f"{result.status:<8}", style=_STYLES.get(result.status, "dim"))
    yield line.append(f" {result.check}: {result.message}")
    if result.fix:
        yield Text(f"           {result.fix}")

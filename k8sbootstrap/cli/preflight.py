"""``k8sbootstrap preflight``."""

import sys

import click

from k8sbootstrap.checks.formats import PREFLIGHT, as_json, text_by_host
from k8sbootstrap.checks.hosts import CHECK_NAMES
from k8sbootstrap.checks.hosts.run import run_preflight
from k8sbootstrap.cli.options import Command, Globals, accept_new_host_keys_option, output_option
from k8sbootstrap.errors import PreflightError
from k8sbootstrap.hosts.host_keys import ensure_known
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan


@click.command("preflight", cls=Command)
@click.option(
    "--ignore",
    metavar="NAME",
    multiple=True,
    type=click.Choice(CHECK_NAMES),
    help='Let this check fail; may be given several times. "k8sbootstrap -v preflight" lists the names.',
)
@accept_new_host_keys_option
@output_option("Form of the report.")
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
        click.echo(as_json(report, PREFLIGHT))
    else:
        for line in text_by_host(report, PREFLIGHT, every=options.verbosity > 0):
            options.console.print(line)
    return PreflightError.exit_code if report.failures else 0


def _ask(host: str, address: str, key_type: str, fingerprint: str) -> bool:
    click.echo(
        f"{host} ({address}) is new here. Its {key_type} key has the fingerprint {fingerprint}.", err=True
    )
    return click.confirm("Is that the key you expect?", err=True)

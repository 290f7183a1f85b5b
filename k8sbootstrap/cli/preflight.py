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
from k8sbootstrap.inventory.snapshot_store import read_store
from k8sbootstrap.plan.build import load_plan


@click.command("preflight", cls=Command)
@click.option(
    "--ignore",
    metavar="NAME",
    multiple=True,
    type=click.Choice(CHECK_NAMES),
    help='Ignore this check if it fails. May be given several times. "k8sbootstrap -v preflight" '
    "lists all names.",
)
@accept_new_host_keys_option
@output_option("Output format.")
@click.pass_obj
def command(
    options: Globals,
    ignore: tuple[str, ...],
    accept_new_host_keys: bool,  # noqa: FBT001
    output: str,
) -> int:
    """Check that every host is fit for the cluster. Changes nothing on the hosts.

    Checks SSH and sudo, operating system, clocks, swap, ports, disk, memory, kernel, addresses and leftovers
    of other clusters, on all hosts at once. For a host that is not known yet, it shows the fingerprint of the
    SSH key and asks whether it is the right key. The exit code is 4 if a check failed.
    """
    plan = load_plan(options.file)
    store = read_store(plan, options.file.resolve().parent)
    with Pool() as pool:
        ensure_known(
            pool,
            [host.ssh for host in plan.hosts],
            accept_new=accept_new_host_keys,
            ask=_ask if sys.stdin.isatty() else None,
        )
        report = run_preflight(plan, pool, ignore=ignore, store=store)
    if output == "json":
        click.echo(as_json(report, PREFLIGHT))
    else:
        for line in text_by_host(report, PREFLIGHT, every=options.verbosity > 0):
            options.console.print(line)
    return PreflightError.exit_code if report.failures else 0


def _ask(host: str, address: str, key_type: str, fingerprint: str) -> bool:
    click.echo(
        f"{host} ({address}) is not a known host yet. The fingerprint of its {key_type} key is "
        f"{fingerprint}.",
        err=True,
    )
    return click.confirm("Is this the right key?", err=True)

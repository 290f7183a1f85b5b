"""``k8sbootstrap stop``."""

import sys

import click

from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.stop import StopContext, lines_of, run_stop
from k8sbootstrap.cli.host_names import check_names
from k8sbootstrap.cli.hostkeys import asker
from k8sbootstrap.cli.options import Command, Globals, accept_new_host_keys_option, yes_option
from k8sbootstrap.cli.questions import confirmer
from k8sbootstrap.formats.text import duration
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.run.live import reporter_for


@click.command("stop", cls=Command)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@accept_new_host_keys_option
@yes_option("Do not ask before services are stopped.")
@click.pass_obj
def command(options: Globals, *, names: tuple[str, ...], accept_new_host_keys: bool, yes: bool) -> None:
    """Stop the services of hosts, or of the whole cluster.

    With names: pods move to other nodes first, one host after another, and what would cost etcd its quorum is
    refused. The nodes take no pods until "k8sbootstrap start". Without names the whole cluster stops: workers
    first, etcd last. Data stays. A host that boots starts its services again.
    """
    plan = load_plan(options.file)
    check_names(plan, names)
    terminal = sys.stdin.isatty()
    if not terminal and not yes:
        raise click.UsageError("This stops services. There is no terminal to ask on: add --yes to confirm.")
    reporter = reporter_for(options.console, options.verbosity)
    given = RunOptions(accept_new_host_keys=accept_new_host_keys, ask=asker(reporter) if terminal else None)
    what = f"in the cluster {plan.config.name}, one after another" if names else plan.config.name
    confirm = None if yes else confirmer(reporter, f"To stop {what}:", lines_of, "Stop?")
    summary, context = run_stop(plan, options.file, names, given, reporter, confirm=confirm)
    print_text = options.console.print
    print_text(f"Stopped in {duration(summary.seconds)}: {_what(context)}.")
    start = "" if context.is_whole else f" {' '.join(names)}"
    print_text(f"To start again: k8sbootstrap start{start}", markup=False)


def _what(context: StopContext) -> str:
    if context.is_whole:
        return "the whole cluster"
    return ", ".join(each.host.name for each in context.outages)

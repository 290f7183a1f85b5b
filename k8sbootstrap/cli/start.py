"""``k8sbootstrap start``."""

import sys

import click

from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.start import lines_of, run_start
from k8sbootstrap.cli.host_names import chosen_hosts
from k8sbootstrap.cli.hostkeys import asker
from k8sbootstrap.cli.options import Command, Globals, accept_new_host_keys_option, yes_option
from k8sbootstrap.cli.questions import confirmer
from k8sbootstrap.formats.text import duration
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.run.live import reporter_for


@click.command("start", cls=Command)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@accept_new_host_keys_option
@yes_option("Do not ask before services are started.")
@click.pass_obj
def command(options: Globals, *, names: tuple[str, ...], accept_new_host_keys: bool, yes: bool) -> None:
    """Start stopped services on all hosts, or on those named.

    It is the reverse of "k8sbootstrap stop": etcd starts first, then the control plane, then nodes. It waits
    until all services are healthy and nodes are Ready, and lets pods on them again.
    """
    plan = load_plan(options.file)
    chosen = chosen_hosts(plan, names)
    terminal = sys.stdin.isatty()
    if not terminal and not yes:
        raise click.UsageError("This starts services. There is no terminal to ask on: add --yes to confirm.")
    reporter = reporter_for(options.console, options.verbosity)
    given = RunOptions(accept_new_host_keys=accept_new_host_keys, ask=asker(reporter) if terminal else None)
    title = f"To start in the cluster {plan.config.name}:"
    confirm = None if yes else confirmer(reporter, title, lines_of, "Start?")
    summary, something = run_start(plan, options.file, chosen, given, reporter, confirm=confirm)
    if something:
        options.console.print(f"Started in {duration(summary.seconds)}: {', '.join(chosen)}.")
    else:
        options.console.print("Nothing to do: all services run, and nodes take pods.")

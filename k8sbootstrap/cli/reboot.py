"""``k8sbootstrap reboot``."""

import sys

import click

from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.reboot import lines_of, run_reboot
from k8sbootstrap.cli.host_names import chosen_hosts
from k8sbootstrap.cli.hostkeys import asker
from k8sbootstrap.cli.options import Command, Globals, accept_new_host_keys_option, yes_option
from k8sbootstrap.cli.questions import confirmer
from k8sbootstrap.formats.text import duration
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.run.live import reporter_for


@click.command("reboot", cls=Command)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--if-required",
    is_flag=True,
    help="Only hosts that ask for it: their packages do, or a newer kernel is installed than runs.",
)
@accept_new_host_keys_option
@yes_option("Do not ask before hosts are rebooted.")
@click.pass_obj
def command(
    options: Globals, *, names: tuple[str, ...], if_required: bool, accept_new_host_keys: bool, yes: bool
) -> None:
    """Reboot hosts, one after another: all, or those that are named.

    The host's pods move to other nodes, its member hands over etcd's lead, its API server tells load
    balancers, and then it reboots. Once all its services are healthy and its node is Ready, its node takes
    pods again and the next host follows. What would cost etcd its quorum is refused. After a failure or
    Ctrl-C, run it again: it continues from there, and reboots no host twice.
    """
    plan = load_plan(options.file)
    chosen = chosen_hosts(plan, names)
    terminal = sys.stdin.isatty()
    if not terminal and not yes:
        raise click.UsageError("This reboots hosts. There is no terminal to ask on: add --yes to confirm.")
    reporter = reporter_for(options.console, options.verbosity)
    given = RunOptions(accept_new_host_keys=accept_new_host_keys, ask=asker(reporter) if terminal else None)
    title = f"To reboot in the cluster {plan.config.name}, one after another:"
    confirm = None if yes else confirmer(reporter, title, lines_of, "Reboot?")
    summary, context = run_reboot(
        plan, options.file, chosen, given, reporter, if_required=if_required, confirm=confirm
    )
    if context.reboots:
        done = ", ".join(each.host.name for each in context.reboots)
        options.console.print(f"Rebooted in {duration(summary.seconds)}: {done}.")
    else:
        options.console.print("Nothing to do: no host requires a reboot.")

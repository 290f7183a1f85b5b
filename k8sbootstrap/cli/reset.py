"""``k8sbootstrap reset``."""

import sys

import click

from k8sbootstrap.actions.reset import run_reset
from k8sbootstrap.cli.options import Command, Globals, yes_option
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.run.live import reporter_for


@click.command("reset", cls=Command)
@yes_option("Do not ask.")
@click.pass_obj
def command(options: Globals, yes: bool) -> None:  # noqa: FBT001
    """Remove from the hosts what k8sbootstrap put there.

    Nothing else is touched. All workloads and the contents of etcd are lost. Files, packages, users, firewall
    rules and settings that were there before are there again; the hosts can join a cluster again at once. The
    certificates in the state directory are kept.
    """
    plan = load_plan(options.file)
    names = ", ".join(host.name for host in plan.hosts)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("this destroys the cluster; without a terminal, give --yes")
        click.confirm(f"Destroy cluster {plan.config.name} on {names}, with all that runs on it?", abort=True)
    summary = run_reset(plan, options.file, reporter_for(options.console, options.verbosity))
    options.console.print(f"Reset: {summary.changed} of {len(plan.hosts)} hosts had something to take off.")

"""``k8sbootstrap reset``."""

import sys

import click

from k8sbootstrap.actions.reset import run_reset
from k8sbootstrap.cli.options import Command, Globals, yes_option
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.departed import departed
from k8sbootstrap.run.live import reporter_for


@click.command("reset", cls=Command)
@yes_option("Do not ask before the reset.")
@click.pass_obj
def command(options: Globals, yes: bool) -> None:  # noqa: FBT001
    """Remove from the hosts what k8sbootstrap put there.

    It changes nothing else. All workloads and all data in etcd are lost. Files, packages, users, firewall
    rules and settings are as they were before the installation. The hosts can join a cluster again at once.
    The certificates in the state directory are kept.
    """
    plan = load_plan(options.file)
    left = ", ".join(departed(plan, options.file))
    names = ", ".join(host.name for host in plan.hosts)
    if left:
        options.errors.print(
            f"Not in cluster.yaml any more, and so not reset: {left}. What is installed there keeps running. "
            "To reset it too, put it back into cluster.yaml.",
            markup=False,
        )
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(
                "This destroys the cluster. There is no terminal to ask on: add --yes to confirm."
            )
        click.confirm(
            f"Destroy cluster {plan.config.name} on {names}, with everything that runs on it?", abort=True
        )
    summary = run_reset(plan, options.file, reporter_for(options.console, options.verbosity))
    options.console.print(f"Reset: {summary.changed} of {len(plan.hosts)} hosts had something to remove.")

"""``k8sbootstrap status``."""

import click

from k8sbootstrap.cli.options import Command, Globals, output_option
from k8sbootstrap.cli.text.status_json import as_json
from k8sbootstrap.cli.text.status_tables import tables
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.survey.status.collect import collect

WIDTH = 1000
"""Columns that a line may have; a terminal wraps what it cannot show, and nothing is cut."""


@click.command("status", cls=Command)
@output_option("text: tables to read. json: everything, with every certificate.")
@click.pass_obj
def command(settings: Globals, *, output: str) -> None:
    """Show the state of the cluster.

    Shows hosts and what they run, health and versions of components, etcd's members and leader, nodes, and
    when certificates expire. Changes and starts nothing. Hosts that cannot be reached are marked; the exit
    code is 5 if none can be reached. To test that the cluster works, run "k8sbootstrap verify".
    """
    plan = load_plan(settings.file)
    with Pool() as pool:
        status = collect(plan, pool)
    if output == "json":
        click.echo(as_json(status))
    else:
        settings.console.width = WIDTH
        for part in tables(status):
            settings.console.print(part)

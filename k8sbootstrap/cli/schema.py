"""``k8sbootstrap schema``."""

import json

import click

from k8sbootstrap.cli.options import Command
from k8sbootstrap.config.schema import json_schema


@click.command(cls=Command)
def command() -> None:
    """Print the JSON Schema of cluster.yaml.

    Editors complete and check with it: save it as cluster.schema.json and put
    "# yaml-language-server: $schema=cluster.schema.json" in the first line of cluster.yaml.
    """
    click.echo(json.dumps(json_schema(), indent=2))
